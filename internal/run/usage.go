package run

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Usage is what a process has used.
type Usage struct {
	CPUSeconds    float64 // user and system
	ResidentBytes uint64
	Processes     int
}

// userHZ is the unit of the times in /proc/PID/stat: sysconf(_SC_CLK_TCK) is
// 100 on every Linux that Go runs on.
const userHZ = 100

// ProcessUsage reads /proc. With descendants, the live children and theirs are
// added, and the CPU time of those that have ended and were waited for; memory
// that several of them share counts for each.
func ProcessUsage(pid int, descendants bool) (Usage, error) {
	if descendants {
		return (&Family{PID: pid}).Usage()
	}
	s, err := readStat(pid)
	if err != nil {
		return Usage{}, err
	}
	return Usage{CPUSeconds: float64(s.own) / userHZ, ResidentBytes: s.resident, Processes: 1}, nil
}

// Family is a process and its descendants, to be asked again and again: who they
// are takes a look at every process there is, which on a box without anything
// else to do was most of what capture's own process did.
type Family struct {
	PID int

	mu     sync.Mutex
	known  []stat // the descendants
	looked time.Time
}

// newMembers is how long a new descendant may go unseen. One that has ended is
// seen at once, and so is who came in its place.
const newMembers = 5 * time.Second

// Usage is ProcessUsage with descendants.
func (f *Family) Usage() (Usage, error) {
	s, err := readStat(f.PID)
	if err != nil {
		return Usage{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= newMembers || !f.again() {
		f.known, f.looked = descendants(f.PID), time.Now()
	}
	var u Usage
	for _, s := range append([]stat{s}, f.known...) {
		u.CPUSeconds += float64(s.own+s.waited) / userHZ
		u.ResidentBytes += s.resident
		u.Processes++
	}
	return u, nil
}

// again reads the known ones again and says whether all are still there; the
// number of one that has ended may be another's now.
func (f *Family) again() bool {
	for i, k := range f.known {
		s, err := readStat(k.pid)
		if err != nil || s.parent != k.parent {
			return false
		}
		f.known[i] = s
	}
	return true
}

func descendants(pid int) (found []stat) {
	children := childrenByParent()
	for todo := children[pid]; len(todo) > 0; todo = todo[1:] {
		found = append(found, todo[0])
		todo = append(todo, children[todo[0].pid]...)
	}
	return found
}

type stat struct {
	pid, parent int
	own, waited uint64 // CPU time in 1/userHZ
	resident    uint64 // bytes
}

func childrenByParent() map[int][]stat {
	children := map[int][]stat{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // else it has ended meanwhile
			children[s.parent] = append(children[s.parent], s)
		}
	}
	return children
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return parseStat(pid, data)
}

// parseStat reads the fields of proc_pid_stat(5) after the name, which is in
// parentheses and may itself hold some: 4 ppid, 14 to 17 utime, stime, cutime,
// cstime, 24 rss in pages.
func parseStat(pid int, data []byte) (stat, error) {
	end := bytes.LastIndexByte(data, ')')
	f := strings.Fields(string(data[end+1:]))
	if end < 0 || len(f) < 22 {
		return stat{}, fmt.Errorf("process %d: stat has %d fields, 24 are needed", pid, len(f)+2)
	}
	n := func(field int) uint64 {
		v, _ := strconv.ParseInt(f[field-3], 10, 64)
		return uint64(max(v, 0))
	}
	return stat{
		pid: pid, parent: int(n(4)),
		own: n(14) + n(15), waited: n(16) + n(17),
		resident: n(24) * uint64(os.Getpagesize()),
	}, nil
}
