// Package update brings a box to another version and back: it takes a signed
// bundle by HTTP into the root partition that isn't running, has the box start
// it once, on trial, and commits it only when the box is no worse than before
// for a while. Whatever else happens, the next start takes the old root again.
//
//	GET    /api/update                         Status
//	PUT    /api/update?offset=N                a bundle, or the rest of one from byte N on
//	DELETE /api/update                         drops what was received
//	POST   /api/update/start?force=older,busy  restarts the box into the trial
//	PUT    /api/busy {"busy": true, "reason": "…"}
//
// Of a bundle nothing is held in memory but a chunk, which is written when its
// hash is right. How far it got is asked of the partition itself, so that an
// upload goes on after a restart of boxd, too.
//
// What a trial is, package slot says. Tested with files for partitions, and in
// a virtual machine (images/vm, TestShortUpdate and TestDrillUpdate…).
package update

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/openvideobox/videobox/appliance/internal/slot"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/metrics"
)

// Version is what an image says that it is, in VersionFile.
type Version struct {
	Version string `json:"version"`
	Build   int64  `json:"build"` // Unix seconds
	Board   string `json:"board"`
	Arch    string `json:"arch,omitempty"`
	Slot    string `json:"slot,omitempty"` // A or B
}

func (v Version) String() string {
	if v.Version == "" {
		return "a version without a name"
	}
	return v.Version
}

const (
	// VersionFile is the image's, in Options.Etc.
	VersionFile = "version.json"
	kernelFile  = "vmlinuz" // on the boot partition
)

// Options are a box's things.
type Options struct {
	Dir    string          // on the data partition; made if missing
	Ready  <-chan struct{} // closed once Dir may be used
	Run    string          // folder for what a restart forgets
	Etc    string          // of the image
	Card   func() (slot.Card, error)
	Clock  clock.Clock
	Uptime func() time.Duration // since the kernel's start
	InSync func() bool          // the clock can be believed
	// Restart restarts the box at once. It returns only when it doesn't.
	Restart func(why string) error
	// Talk is the scheduled talk of the box's room at a time, or "".
	Talk func(ctx context.Context, at time.Time) (string, error)
}

// Updater is a box's updates.
type Updater struct {
	o       Options
	running Version
	upload  sync.Mutex // one request that changes something at a time
	started time.Duration

	mu      sync.Mutex
	in      *incoming
	record  record
	busy    busy
	refusal *Refusal
	kernel  string // hash of the boot partition's, once it is known
	look    func() Sight
	ready   bool // Dir may be used
	trial   bool // this start is one and not committed; the record comes later
	gok     gokUpdate
}

// incoming is a bundle that is being received.
type incoming struct {
	head     bundle.Header
	received int64 // bytes of it, up to the end of a chunk
}

func (i *incoming) whole() bool { return i != nil && i.received == i.head.Size() }

// New knows what runs, and marks a trial, before anything else may restart the
// box.
func New(o Options) *Updater {
	u := &Updater{o: o, started: o.Uptime()}
	data, err := os.ReadFile(filepath.Join(o.Etc, VersionFile))
	if err == nil {
		err = json.Unmarshal(data, &u.running)
	}
	if err != nil {
		slog.Warn("this image doesn't say which version it is", "error", err)
	}
	c, err := o.Card()
	if err != nil {
		slog.Info("no updates here", "reason", err)
		return u
	}
	u.running.Slot = slotName(c.Running)
	u.mend(c)
	if un, err := c.Uncommitted(); un || err != nil {
		u.markTrial(true)
		u.trial = true
		slog.Info("an update is on trial", "slot", u.running.Slot, "version", u.running.Version, "error", err)
	}
	return u
}

// mend undoes what a power cut has left half done, see slot.Card.Mend. It is done
// once in each start of the box, before anybody can switch: what the boot
// partition says when boxd alone starts again may wait for a restart.
func (u *Updater) mend(c slot.Card) {
	err := os.MkdirAll(u.o.Run, 0o755)
	if err == nil {
		err = os.Mkdir(filepath.Join(u.o.Run, "started"), 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return
	}
	mended := false
	if err == nil {
		mended, err = c.Mend()
	}
	if mended {
		slog.Warn("the boot partition did not name the root that runs, as after a power cut; now it does", "slot", slotName(c.Running), "error", err)
	} else if err != nil {
		slog.Warn("whether the boot partition names the root that runs", "error", err)
	}
}

// slotName is a root partition's for people.
func slotName(partition int) string { return string(rune('A' + partition - 2)) }

// markTrial keeps all but this package and guard from restarting the box.
func (u *Updater) markTrial(on bool) {
	path := filepath.Join(u.o.Run, "trial")
	err := os.Remove(path)
	if on {
		err = errors.Join(os.MkdirAll(u.o.Run, 0o755), os.WriteFile(path, nil, 0o644))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Error("the mark of a trial", "error", err)
	}
}

// SetLook says how the box is looked at; a page that starts again sets it
// again.
func (u *Updater) SetLook(look func() Sight) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.look = look
}

// Run takes up what the last start has left: a trial is watched to its end, and
// what was received of a bundle is found again.
func (u *Updater) Run(ctx context.Context) error {
	select {
	case <-u.o.Ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c, err := u.o.Card(); err == nil {
		u.takeUp(ctx, c)
	}
	<-ctx.Done()
	return ctx.Err()
}

// takeUp holds off uploads until it is known what there is.
func (u *Updater) takeUp(ctx context.Context, c slot.Card) {
	u.upload.Lock()
	defer u.upload.Unlock()
	r, err := u.readRecord()
	if err != nil {
		slog.Error("what is known of the last update can't be read", "error", err)
	}
	u.mu.Lock()
	u.record, u.busy, u.ready = r, u.readBusy(), true
	u.mu.Unlock()
	if err := u.copyKey(c); err != nil {
		slog.Warn("the boot partition's "+bootKey+" does not count", "error", err)
	}
	if un, err := c.Uncommitted(); un || err != nil {
		if err := u.watch(ctx, c); err != nil {
			slog.Error("the trial", "error", err)
		}
		return
	}
	u.mu.Lock()
	u.trial = false
	u.mu.Unlock()
	u.settle(c)
	if err := u.findAgain(c); err != nil {
		slog.Warn("the bundle received in part", "error", err)
	}
}

// Refusal is why a bundle or a start was refused last.
type Refusal struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

func (u *Updater) refuse(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refusal = &Refusal{err.Error(), u.now()}
}

// agree forgets what was refused before.
func (u *Updater) agree() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refusal = nil
}

func (u *Updater) now() time.Time { return time.Unix(0, u.o.Clock.Now()).UTC() }

// Finding is the leaf "update": for page and screen.
func (u *Updater) Finding() metrics.Finding {
	s := u.Status()
	switch {
	case s.State == Trial:
		return metrics.Finding{State: metrics.Starting, Cause: "trial of " + s.Running.String()}
	case s.State == Receiving && s.Incoming.Size > 0:
		return metrics.Finding{State: metrics.OK, Value: "receiving " + s.Incoming.Version + ", " + percent(s.Incoming)}
	case s.State == Ready:
		return metrics.Finding{State: metrics.OK, Value: s.Incoming.Version + " is there"}
	case s.Last != nil && s.Last.Result == Failed:
		return metrics.Finding{State: metrics.Degraded, Cause: s.Last.To + " failed, back on " + s.Last.From + ": " + s.Last.Reason}
	}
	return metrics.Finding{State: metrics.OK, Value: s.Running.String()}
}
