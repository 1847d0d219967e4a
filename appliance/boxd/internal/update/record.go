package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// State is how far an update is.
type State string

// The states. An update ends in one of the last two.
const (
	Idle      State = "idle"
	Receiving State = "receiving" // a part of a bundle is there
	Ready     State = "ready"     // all of it
	Trial     State = "trial"     // the box restarts into it, or runs it
	Committed State = "committed"
	Failed    State = "failed" // it fell back, or never began
)

// Files in Options.Dir.
const (
	recordFile = "update.json"
	headFile   = "update.head" // of a bundle being received
	busyFile   = "busy.json"
	// guardFile is guard's word on why it ended a trial.
	guardFile = "update.guard"
)

// record is what must outlive a restart.
type record struct {
	Trial *trial `json:"trial,omitempty"` // begun, and its end not yet known
	Last  *Last  `json:"last,omitempty"`
}

// trial is one that was begun.
type trial struct {
	From      Version   `json:"from"`
	To        Version   `json:"to"`
	Before    Sight     `json:"before"`
	Requested time.Time `json:"requested"` // the restart
	InSync    bool      `json:"in_sync"`   // the clock was, then
	Seen      string    `json:"seen,omitempty"`
	Reason    string    `json:"reason,omitempty"` // boxd has given it up
}

// Last is how the last update ended.
type Last struct {
	From     string    `json:"from"`
	To       string    `json:"to"`
	Result   State     `json:"result"` // Committed or Failed
	Reason   string    `json:"reason,omitempty"`
	OutageMS float64   `json:"outage_ms"` // of the stream; -1 unknown
	Took     []Step    `json:"took,omitempty"`
	At       time.Time `json:"at"`
}

// Step is a part of an outage.
type Step struct {
	What string  `json:"what"`
	MS   float64 `json:"ms"`
}

func (u *Updater) path(name string) string { return filepath.Join(u.o.Dir, name) }

func (u *Updater) readRecord() (r record, err error) {
	err = u.readJSON(recordFile, &r)
	return r, err
}

// readJSON leaves v as it is where there is no file.
func (u *Updater) readJSON(name string, v any) error {
	data, err := os.ReadFile(u.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", u.path(name), err)
	}
	return nil
}

// writeJSON leaves the old file or the new one after a power cut.
func (u *Updater) writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return u.writeFile(name, append(data, '\n'))
}

func (u *Updater) writeFile(name string, data []byte) error {
	if err := os.MkdirAll(u.o.Dir, 0o700); err != nil {
		return err
	}
	if err := renameio.WriteFile(u.path(name), data, 0o600); err != nil {
		return err
	}
	dir, err := os.Open(u.o.Dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close()) // the name, too
}

func (u *Updater) remove(name string) {
	if err := os.Remove(u.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.refuse(err)
	}
}

// keepRecord changes what is known, in memory and on the card.
func (u *Updater) keepRecord(change func(*record)) error {
	u.mu.Lock()
	change(&u.record)
	r := u.record
	u.mu.Unlock()
	return u.writeJSON(recordFile, r)
}

// guardSaid is why guard has ended a trial, or "". It is said once.
func (u *Updater) guardSaid() string {
	data, err := os.ReadFile(u.path(guardFile))
	if err != nil {
		return ""
	}
	u.remove(guardFile)
	return strings.TrimSpace(string(data))
}
