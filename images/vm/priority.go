package vm

import "golang.org/x/sys/unix"

// ahead is a niceness at which a thread gets nine times the CPU of an ordinary
// one; see sched(7).
const ahead = -10

// hurry puts QEMU ahead of other work on a busy host, where it may: a guest that
// gets no CPU for a while loses pictures and sound, which no real box would. All
// of QEMU's threads are in its process group.
func hurry(pid int) {
	_ = unix.Setpriority(unix.PRIO_PGRP, pid, ahead) // only root may
}
