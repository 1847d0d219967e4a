package vm

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

// slice is how long QEMU's main loop asks to run at a time, in ns, the least that
// Linux grants.
const slice = 100_000

// Policies of sched(7).
const schedOther, schedFIFO uint32 = 0, 1

// punctual lets QEMU's main loop, the process's first thread, run as soon as it
// has something to do. It is the machine's USB bus: QEMU's xHCI leaves out the
// milliseconds for which it was more than four late, while the stick goes on. Two
// threads that emulate processors keep two cores busy, and Linux lets a waking
// thread wait for the end of a running one's slice, a tick of 4 ms.
//
// Root's gets real-time priority, as hardware has before programs. Else it asks for
// a shorter slice than the others have (sched_setattr(2), since Linux 6.12; older
// ones ignore it), which helps where not much else runs. Measured on two cores with
// two such processors: 955 of 1000 milliseconds of the bus as it was, 998.9 and
// 999.8 with either; beside a load of 13, 50 gaps in the sound of a minute with a
// slice, 5 with the priority. The loop takes a sixth of a core.
func punctual(pid int) {
	attr, err := unix.SchedGetAttr(pid, 0)
	if err == nil {
		fifo := *attr
		fifo.Policy, fifo.Nice, fifo.Priority, fifo.Runtime = schedFIFO, 0, 1, 0
		if unix.SchedSetAttr(pid, &fifo, 0) == nil {
			return
		}
		attr.Runtime, attr.Deadline, attr.Period = slice, 0, 0
		err = unix.SchedSetAttr(pid, attr, 0)
	}
	if err != nil {
		slog.Warn("vm: QEMU's main loop may come late; sound of the stick may get lost", "err", err)
	}
}
