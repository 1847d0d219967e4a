package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// hearing is for how long a program that is to be deaf is well.
const hearing = 10 * time.Second

// deafen keeps a program's processes from opening anything more, connections
// included, once they have run for a while: they go on, and answer nobody.
func (s *saboteur) deafen(name string, seen map[int]time.Time) {
	pids, err := processes(name)
	if err != nil {
		return // there may be none just now
	}
	for _, pid := range pids {
		if seen[pid].IsZero() {
			seen[pid] = time.Now()
		}
		if time.Since(seen[pid]) >= hearing {
			_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{}, nil) // it may just have ended
		}
	}
}
