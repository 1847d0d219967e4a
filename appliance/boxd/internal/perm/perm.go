// Package perm makes a box's data partition usable before anything is written
// to it: a file system where there is none, as large as the card, and repaired
// where its journal isn't enough.
//
// gokrazy's init mounts /perm if it can before it starts programs, never makes
// or checks it, and leaves it as large as the image was. What is done here can
// be cut off by a power cut at any point and goes on at the next start; see
// growTable, ext4.Make and ext4.Grow.
//
// Tested with e2fsck 1.47 on loop devices, and on gokrazy in a virtual machine
// (images/vm).
package perm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
)

// Dir is where the partition is mounted, File where the result is written.
const (
	Dir  = "/perm"
	File = "/run/videobox/perm.json"
)

// State is what became of the partition.
type State string

// States.
const (
	Working  State = "working"  // not known yet; Text says what is being done
	Ready    State = "ready"    // it was whole
	Repaired State = "repaired" // something may have been lost
	Made     State = "made"     // there was no file system
	Missing  State = "missing"  // it can't be written to; Text says why
)

// Result is the partition's state, as in File.
type Result struct {
	State State  `json:"state"`
	Text  string `json:"text"`
	Bytes int64  `json:"bytes,omitempty"` // size of the file system
}

// checkTime is how long a repair may take: e2fsck needs seconds for a card, and
// minutes for a disk of terabytes that is full of small files.
const checkTime = 10 * time.Minute

// Task is the preparation at work.
type Task struct {
	done chan struct{}
	mu   sync.Mutex
	now  Result
}

// Start begins, in the background. On a machine that isn't a gokrazy box it
// does nothing and answers nil, all of whose methods can be used.
func Start(ctx context.Context, log *slog.Logger) *Task {
	if !onBox() {
		return nil
	}
	_ = os.Remove(File) // of an earlier boxd: it says when this one is done
	_ = os.Chdir("/")   // init starts programs in /perm, which could not be unmounted
	t := &Task{done: make(chan struct{}), now: Result{State: Working, Text: "looking at the card"}}
	go t.run(ctx, log)
	return t
}

// Done is closed when the result is known.
func (t *Task) Done() <-chan struct{} {
	if t == nil {
		return closed
	}
	return t.done
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Result is what is known. Without a box it is zero.
func (t *Task) Result() Result {
	if t == nil {
		return Result{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *Task) set(r Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = r
}

func (t *Task) run(ctx context.Context, log *slog.Logger) {
	defer close(t.done)
	console := openConsole()
	defer console.Close()
	say := func(text string) {
		log.Info("perm: " + text)
		fmt.Fprintf(console, "perm: %s\r\n", text)
		if r := t.Result(); r.State == Working {
			t.set(Result{State: Working, Text: text})
		}
	}
	p, err := find(Dir)
	if err != nil {
		t.finish(Result{State: Missing, Text: err.Error()}, say)
		return
	}
	defer p.Close()
	p.say = say
	t.finish(p.prepare(ctx), say)
}

func (t *Task) finish(r Result, say func(string)) {
	if err := writeResult(File, r); err != nil {
		say(err.Error())
	}
	t.set(r)
	say(fmt.Sprintf("%s: %s", r.State, r.Text))
}

// writeResult replaces the file as a whole.
func writeResult(name string, r Result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	part := name + ".part"
	if err := os.WriteFile(part, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(part, name)
}

// Read reads a result, or nil while there is none.
func Read(name string) *Result {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	r := &Result{}
	if json.Unmarshal(b, r) != nil {
		return nil
	}
	return r
}

// machine is what preparing does to the system that it runs on.
type machine interface {
	// mounted is the type of the file system that is mounted, or "".
	mounted() (string, error)
	mount(readOnly bool) error
	unmount() error
	// release ends programs that hold the partition and names them; init
	// starts them again.
	release() []string
	// check runs e2fsck and returns its exit code and what it said.
	check(ctx context.Context, progress func(string), args ...string) (int, string, error)
	resizePartition(number int, s span) error
	growFS(blocks uint64) error
}

// preparer prepares one partition.
type preparer struct {
	machine
	disk    Disk   // the whole one
	sectors uint64 // its size
	part    partitionDevice
	number  int
	size    int64 // of the partition, as the kernel sees it
	say     func(string)
}

// partitionDevice is the partition alone.
type partitionDevice interface {
	Disk
	Close() error
}

// Close closes what find has opened.
func (p *preparer) Close() error {
	err := p.part.Close()
	if d, ok := p.disk.(interface{ Close() error }); ok {
		err = errors.Join(err, d.Close())
	}
	return err
}

func missing(err error) Result { return Result{State: Missing, Text: err.Error()} }

// prepare makes the partition ready.
func (p *preparer) prepare(ctx context.Context) Result {
	kind, err := p.mounted()
	if err != nil {
		return missing(err)
	}
	if kind != "" && kind != "ext4" {
		return Result{State: Ready, Text: "somebody's " + kind + ", left as it is"}
	}
	r := p.makeWhole(ctx, kind != "")
	if r.State == Missing {
		return r
	}
	if err := p.grow(); err != nil {
		p.say(err.Error())
		r.Text += "; " + err.Error()
	}
	if s, err := ext4.ReadSuper(p.part); err == nil {
		r.Bytes = s.Bytes()
		r.Text += fmt.Sprintf("; %.1f GB", float64(r.Bytes)/1e9)
	}
	return r
}

// makeWhole sees to it that a file system without faults is mounted.
func (p *preparer) makeWhole(ctx context.Context, mounted bool) Result {
	super, err := ext4.ReadSuper(p.part)
	switch {
	case errors.Is(err, ext4.ErrTorn) && !mounted:
		if err := ext4.Reseal(p.part); err != nil {
			return missing(fmt.Errorf("the card's torn superblock: %w", err))
		}
		return p.repair(ctx, mounted)
	case err != nil && !errors.Is(err, ext4.ErrNone):
		return missing(fmt.Errorf("the card can't be read: %w", err))
	case mounted && !super.Errors:
		return Result{State: Ready, Text: "whole"}
	case err == nil:
		if !mounted && !super.Errors && p.mount(false) == nil {
			return Result{State: Ready, Text: "whole"}
		}
		return p.repair(ctx, mounted)
	}
	if _, err := ext4.ReadBackup(p.part); err == nil {
		return p.repair(ctx, mounted, ext4.BackupArgs()...)
	}
	return p.make()
}

// make writes a new file system where there is none.
func (p *preparer) make() Result {
	p.say("no file system on the card's data partition: making one")
	if err := ext4.Make(p.part, p.size, "perm"); err != nil {
		return missing(fmt.Errorf("making a file system: %w", err))
	}
	if err := p.mount(false); err != nil {
		return missing(fmt.Errorf("the new file system: %w", err))
	}
	return Result{State: Made, Text: "made, as there was none"}
}

// grow lets partition and file system fill the card. A growth that was cut off
// goes on.
func (p *preparer) grow() error {
	want, changed, err := growTable(p.disk, p.sectors, p.number)
	if err != nil {
		return err
	}
	if changed && want.Size > p.size {
		p.say(fmt.Sprintf("the data partition gets %.1f GB", float64(want.Size)/1e9))
	}
	if want.Size > p.size {
		if err := p.resizePartition(p.number, want); err != nil {
			return fmt.Errorf("%w; the next start will know its size", err)
		}
		p.size = want.Size
	}
	super, err := ext4.ReadSuper(p.part)
	if err != nil {
		return err
	}
	blocks := uint64(p.size / super.BlockSize)
	if int64(blocks-super.Blocks)*super.BlockSize < minGrowth*sector {
		return nil
	}
	p.say(fmt.Sprintf("growing the file system from %.1f to %.1f GB", float64(super.Bytes())/1e9, float64(p.size)/1e9))
	return p.growFS(blocks)
}
