# Pipelines, jobs, substitutions of processes, a coprocess, traps and a FIFO: what bash does with children and pipes.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"; echo bye' EXIT
trap 'echo got a signal' USR1

seq 1 20000 | sort -R --random-source=/dev/zero | sort -n | tail -n 1
printf '%s\n' {a..z} | tr a-z A-Z | paste -sd, | tee "$folder/letters" | wc -c
diff <(seq 1 5) <(seq 1 6) && echo same || echo "status ${PIPESTATUS[0]}"

for i in 1 2 3 4 5 6 7 8; do
    (sleep 0.0$i; echo "job $i" >"$folder/job$i"; exit "$i") &
    jobs[i]=$!
done
for i in 8 7 6 5 4 3 2 1; do
    wait "${jobs[i]}"
    echo "waited for $i: $?"
done
cat "$folder"/job?

coproc doubler { while read -r number; do echo $((2 * number)); done; }
coprocess=$doubler_PID
for i in 1 2 3; do
    echo "$i" >&"${doubler[1]}"
    read -r answer <&"${doubler[0]}"
    echo "twice $i is $answer"
done
exec {doubler[1]}>&-
wait "$coprocess"

mkfifo "$folder/fifo"
(exec >"$folder/fifo"; echo through a FIFO) &
read -r line <"$folder/fifo"
echo "$line"
wait

kill -USR1 $$
(kill -TERM $BASHPID)
echo "status $?"
read -r -t 0.05 line < <(sleep 1) || echo "read gave up: $(($? > 128))"
false | true | (exit 3)
echo "statuses ${PIPESTATUS[*]}"
while read -r word; do set -- "$@" "$word"; done <<<"$(head -n 3 "$0" | wc -l)"
echo "$# $*"
