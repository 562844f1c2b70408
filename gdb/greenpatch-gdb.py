"""Green threads in gdb, of a live process and of a core file:

    (gdb) source greenpatch-gdb.py
    (gdb) info green-threads            all of them: tid, name, state, what each waits for, and the innermost frames
    (gdb) green-thread 4194305 bt       the stack of one; `bt full` and other commands that look at frames work as well

Nothing is called and nothing is written in the program. The library's table greenpatch_threads tells where everything lies
(src/dump/table.rs, whose fields stand here in their order), so the library needs no debug information.
"""

import re
import struct

import gdb
import gdb.unwinder

MARK = b"greenpatch thr 1"
# Frames that the list shows, and so many are looked at for the first one of the program's.
SHOWN = 8
MOST = 32
# What of the library calls a thread's own function, through others.
CALLER = "gp_guarded"


def memory(address, count):
    return bytes(gdb.selected_inferior().read_memory(address, count))


def word(address):
    return struct.unpack("<Q", memory(address, 8))[0]


def half(address):
    return struct.unpack("<I", memory(address, 4))[0]


def in_c(expression):
    """An expression's value: gdb otherwise reads it in the language of the selected frame."""
    language = gdb.parameter("language")
    gdb.execute("set language c", to_string=True)
    try:
        return int(gdb.parse_and_eval(expression))
    finally:
        gdb.execute("set language " + language, to_string=True)


class Table:
    """The library's table: offsets, bits and words."""

    def __init__(self):
        try:
            address = in_c("(unsigned long)&greenpatch_threads")
            mark = memory(address, 16)
        except gdb.error:
            raise gdb.GdbError("greenpatch is not loaded in this program.")
        if mark != MARK:
            raise gdb.GdbError("Another version of greenpatch is loaded in this program: use that one's greenpatch-gdb.py.")
        fields = struct.unpack("<7Q", memory(address + 16, 56))
        _, _, self.newest, reasons, reason_count, states, state_count = fields
        numbers = struct.unpack("<27I", memory(address + 72, 108))
        self.older, self.sp, self.worker, self.waiter, self.why, self.life, self.tid, self.name = numbers[:8]
        self.kernel_tid, self.charged = numbers[8:10]
        (self.finished, self.gone, self.state, self.idle, self.armed, self.parked, self.kind, self.in_kernel,
         self.operand) = numbers[10:19]
        self.saved = dict(zip(("rbx", "rbp", "r12", "r13", "r14", "r15", "rip"), numbers[19:26]))
        self.saved_bytes = numbers[26]
        self.reasons = [self.text(reasons + row * 32 + 16) for row in range(reason_count)]
        self.states = [self.text(states + row * 16) for row in range(state_count)]
        self.library = gdb.solib_name(address)

    @staticmethod
    def text(address):
        place, count = struct.unpack("<2Q", memory(address, 16))
        return memory(place, count).decode()


RUNNING, READY, PARKED, IN_CALL, ENDED = range(5)


class Green:
    """A green thread, as src/dump/list.rs sees it."""

    def __init__(self, table, address):
        self.table, self.address = table, address
        life = half(address + table.life)
        self.exists = not life & table.gone
        if not self.exists:
            return
        self.tid = half(address + table.tid)
        self.name = memory(address + table.name, 16).split(b"\0")[0].decode(errors="replace")
        self.worker = word(address + table.worker)
        self.why = word(address + table.why)
        waiter = word(address + table.waiter) & table.state
        on_worker = self.worker != 0 and word(self.worker + table.charged) == address
        if life & table.finished:
            self.state = ENDED
        elif waiter == table.parked:
            self.state = PARKED
        elif not on_worker or waiter not in (table.idle, table.armed):
            self.state = READY
        elif self.why & table.in_kernel:
            self.state = IN_CALL
        else:
            self.state = RUNNING
        self.is_suspended = self.state == PARKED or self.state == READY and not on_worker and self.worker != 0

    def on_kernel_thread(self):
        return self.state in (RUNNING, IN_CALL)

    def kernel_tid(self):
        return half(self.worker + self.table.kernel_tid)

    def reason(self):
        if self.state not in (PARKED, IN_CALL):
            return ""
        row, operand = self.why & self.table.kind, self.why >> self.table.operand
        shown = {"address": "%#x" % operand, "fd": "fd %d" % operand}
        return re.sub(r"\{(\w+)\}", lambda found: shown.get(found[1], str(operand)), self.table.reasons[row])

    def title(self):
        where = " on kernel thread %d" % self.kernel_tid() if self.on_kernel_thread() else ""
        reason = self.reason()
        name = "".join(letter if letter.isprintable() else "?" for letter in self.name)
        state = self.table.states[self.state]
        return 'thread %d "%s": %s%s%s' % (self.tid, name, state, where, ": " + reason if reason else "")

    def registers(self):
        """Those of a suspended thread."""
        table, sp = self.table, word(self.address + self.table.sp)
        registers = {name: word(sp + place) for name, place in table.saved.items()}
        registers["rsp"] = sp + table.saved_bytes
        return registers


def every(table):
    """All green threads, by tid: main is the first."""
    found, address = [], word(table.newest)
    while address:
        green = Green(table, address)
        if green.exists:
            found.append(green)
        address = word(address + table.older)
    return sorted(found, key=lambda green: green.tid)


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Suspended(gdb.unwinder.Unwinder):
    """Makes a suspended green thread the caller of the innermost frame, whatever that is: from there on gdb's own unwinders go."""

    def __init__(self):
        super().__init__("greenpatch")
        self.registers = None

    def begin(self, registers):
        frame = gdb.newest_frame()
        self.own = [int(frame.read_register(name)) for name in ("rip", "rsp")]
        self.registers = registers
        gdb.invalidate_cached_frames()

    def end(self):
        self.registers = None
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if self.registers is None or [int(pending.read_register(name)) for name in ("rip", "rsp")] != self.own:
            return None
        info = pending.create_unwind_info(FrameId(gdb.Value(self.registers["rsp"] - 8), pending.read_register("rip")))
        for name, value in self.registers.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info


UNWINDER = Suspended()


class Seen:
    """While it is entered, the frames behind the innermost one are those of a green thread."""

    def __init__(self, green):
        self.green = green

    def __enter__(self):
        self.thread, self.level = gdb.selected_thread(), gdb.selected_frame().level()
        if self.green.on_kernel_thread():
            kernel_tid = self.green.kernel_tid()
            found = [thread for thread in gdb.selected_inferior().threads() if kernel_tid in thread.ptid[1:]]
            if not found:
                raise gdb.GdbError("gdb does not know kernel thread %d." % kernel_tid)
            found[0].switch()
            return gdb.newest_frame()
        if not self.green.is_suspended:
            state = self.green.table.states[self.green.state]
            raise gdb.GdbError("Thread %d is %s: it has no stack to look at." % (self.green.tid, state))
        UNWINDER.begin(self.green.registers())
        frame = gdb.newest_frame()
        while frame.type() == gdb.INLINE_FRAME:
            frame = frame.older()
        return frame.older()

    def __exit__(self, *_):
        UNWINDER.end()
        self.thread.switch()
        frame = gdb.newest_frame()
        while frame.level() < self.level and frame.older():
            frame = frame.older()
        frame.select()


def words(frame):
    name = frame.name() or "%#x" % frame.pc()
    place = frame.find_sal()
    if place.symtab:
        return "%s (%s:%d)" % (name, place.symtab.filename.rsplit("/", 1)[-1], place.line)
    module = gdb.solib_name(frame.pc())
    return "%s (%s)" % (name, module.rsplit("/", 1)[-1]) if module else name


def innermost(table, frame):
    """The program's frames and libc's: this library's, and those outside of the thread's function, are left out."""
    frames = []
    while frame is not None and frame.is_valid() and len(frames) < MOST:
        frames.append(frame)
        try:
            frame = frame.older()
        except gdb.error:
            break
    is_own = [gdb.solib_name(frame.pc()) == table.library for frame in frames]
    callers = [at for at, frame in enumerate(frames) if is_own[at] and frame.name() == CALLER]
    inner = range(callers[0] if callers else len(frames))
    return [frames[at] for at in inner if not is_own[at]][:SHOWN] or frames[:SHOWN]


class InfoGreenThreads(gdb.Command):
    """List the green threads: tid, name, state, what each waits for, and the innermost frames."""

    def __init__(self):
        super().__init__("info green-threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        table = Table()
        greens = every(table)
        if not greens:
            print("There are no green threads.")
        for green in greens:
            print(green.title())
            if not green.is_suspended and not green.on_kernel_thread():
                continue
            try:
                with Seen(green) as frame:
                    for shown in innermost(table, frame):
                        print("    " + words(shown))
            except (gdb.error, gdb.GdbError) as why:
                print("    (%s)" % why)


class GreenThread(gdb.Command):
    """Look at the frames of one green thread: green-thread TID COMMAND

COMMAND is bt (with any of its words) or another command that looks at frames; without it: bt."""

    def __init__(self):
        super().__init__("green-thread", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        tid, _, command = argument.strip().partition(" ")
        command = command.strip() or "bt"
        if not tid.isdigit():
            raise gdb.GdbError("Say green-thread TID COMMAND; `info green-threads` shows the tids.")
        found = [green for green in every(Table()) if green.tid == int(tid)]
        if not found:
            raise gdb.GdbError("There is no green thread %s." % tid)
        green = found[0]
        print(green.title())
        with Seen(green) as frame:
            first = frame.level()
            frame.select()
            text = gdb.execute(command, to_string=True)
            if green.is_suspended and re.match(r"(bt|backtrace|where)\b", command):
                text = renumbered(text, first)
            print(text, end="")


def renumbered(text, first):
    """A backtrace from the frame number `first` on: those before are not the green thread's."""
    kept = []
    for part in re.split(r"(?m)^(?=#\d+ )", text):
        found = re.match(r"#(\d+)( +)", part)
        if not found:
            kept.append(part)
        elif int(found[1]) >= first:
            number = "#" + str(int(found[1]) - first)
            kept.append(number.ljust(len(found[0])) + part[len(found[0]):])
    return "".join(kept)


gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)
InfoGreenThreads()
GreenThread()
