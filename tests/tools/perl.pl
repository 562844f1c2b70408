# Interpreters in threads, a shared queue, children, pipes and sockets: perl's own words for them.
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;
use IO::Socket::INET;
use IO::Select;
use POSIX ":sys_wait_h";
$| = 1;

my ($work, $done) = (Thread::Queue->new, Thread::Queue->new);
my $sum : shared = 0;
my @workers = map {
    threads->create(sub {
        while (defined(my $item = $work->dequeue)) {
            select undef, undef, undef, 0.001;
            { lock $sum; $sum += $item; }
            $done->enqueue($item * $item);
        }
        return threads->tid;
    })
} 1 .. 6;
$work->enqueue(1 .. 100);
$work->end;
print "ended: ", join(" ", sort { $a <=> $b } map { $_->join } @workers), "\n";
my $squares = 0;
$squares += $done->dequeue for 1 .. 100;
print "sum $sum, squares $squares\n";

my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 8) or die "listen: $!";
my $port = $listener->sockport;
my $server = threads->create(sub {
    for (1 .. 4) {
        my $client = $listener->accept or die "accept: $!";
        while (my $line = <$client>) { print $client uc $line; }
    }
});
my @clients = map {
    my $number = $_;
    threads->create(sub {
        my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";
        my $heard = "";
        for my $turn (1 .. 5) { print $socket "client $number turn $turn\n"; $heard .= <$socket>; }
        return $heard;
    })
} 1 .. 4;
print $_->join for @clients;
$server->join;

my @children = map {
    my $pid = open(my $pipe, "-|", "sh", "-c", "sleep 0.02; echo child $_; exit $_") or die "open: $!";
    [$pipe, $_];
} 1 .. 3;
for (@children) {
    my ($pipe, $number) = @$_;
    print scalar <$pipe>;
    close $pipe;
    print "status ", $? >> 8, "\n";
}
my $pid = fork // die "fork: $!";
if ($pid == 0) { POSIX::_exit(7) }
waitpid $pid, 0;
print "forked: ", WEXITSTATUS($?), "; system: ", system("sh", "-c", "exit 5") >> 8, "\n";
local $SIG{ALRM} = sub { die "alarm\n" };
eval { alarm 1; select undef, undef, undef, 10; };
print "interrupted by $@";
