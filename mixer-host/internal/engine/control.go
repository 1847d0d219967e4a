package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Volume is how loud a source is in the mix.
type Volume struct {
	Volume float64 `json:"volume"` // 1 leaves the sound as it is
	Mute   bool    `json:"mute"`
}

// MaxVolume is 12 dB.
const MaxVolume = 4

func (v Volume) gain() float32 {
	if v.Mute {
		return 0
	}
	return float32(v.Volume)
}

// Control is what people decide: it is kept over a restart.
type Control struct {
	Scene Scene             `json:"scene"`
	Audio map[string]Volume `json:"audio"` // by role
}

// Control is as it is now. The map is not to be changed.
func (e *Engine) Control() Control {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.control
}

// SetScene changes the scene. Empty fields stay as they are; naming one source
// where the other is swaps the two, as in voctocore.
func (e *Engine) SetScene(s Scene) error {
	return e.change(func(c *Control) error {
		old := c.Scene
		if s.Mode == "" {
			s.Mode = old.Mode
		}
		switch {
		case s.A == "" && s.B == "":
			s.A, s.B = old.A, old.B
		case s.B == "":
			if s.B = old.B; s.A == old.B {
				s.B = old.A
			}
		case s.A == "":
			if s.A = old.A; s.B == old.A {
				s.A = old.B
			}
		}
		if err := s.Check(e.Roles()); err != nil {
			return err
		}
		c.Scene = s
		return nil
	})
}

// SetVolume changes how loud a source is.
func (e *Engine) SetVolume(role string, v Volume) error {
	return e.change(func(c *Control) error {
		if _, ok := c.Audio[role]; !ok {
			return fmt.Errorf("source %q; this room has %s", role, e.roleList())
		}
		if err := v.check(); err != nil {
			return err
		}
		c.Audio = maps.Clone(c.Audio)
		c.Audio[role] = v
		return nil
	})
}

func (v Volume) check() error {
	if math.IsNaN(v.Volume) || v.Volume < 0 || v.Volume > MaxVolume {
		return fmt.Errorf("volume %g; from 0 to %d, 1 leaves the sound as it is", v.Volume, MaxVolume)
	}
	return nil
}

// change applies f, writes the state file and tells the watchers.
func (e *Engine) change(f func(*Control) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.control
	if err := f(&c); err != nil {
		return err
	}
	e.control = c
	for w := range e.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not read the one before: it will see this, too
		}
	}
	if err := e.save(c); err != nil {
		e.o.Log.Warn("scene and volumes won't survive a restart", "cause", err)
	}
	return nil
}

// Watch gives a channel that gets something whenever the control changes, and a
// function that ends it.
func (e *Engine) Watch() (changed <-chan struct{}, stop func()) {
	w := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers[w] = true
	return w, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watchers, w)
	}
}

// Roles are the sources' roles, in the order of the event file.
func (e *Engine) Roles() []string {
	roles := make([]string, len(e.sources))
	for i, in := range e.sources {
		roles[i] = in.Role()
	}
	return roles
}

func (e *Engine) roleList() string {
	list := ""
	for i, r := range e.Roles() {
		if i > 0 {
			list += ", "
		}
		list += r
	}
	return list
}

// restore takes the event's scene, and what the state file has of it and of the
// volumes. A state file that can't be used is reported and passed over: a mixer
// that doesn't start is worse than one that has forgotten its scene.
func (e *Engine) restore() error {
	scene := e.o.Scene
	if scene.Mode == "" {
		scene = Scene{Fullscreen, e.Roles()[0], e.Roles()[len(e.Roles())-1]}
	}
	if err := scene.Check(e.Roles()); err != nil {
		return fmt.Errorf("room %s: scene: %w", e.o.Room, err)
	}
	e.control = Control{Scene: scene, Audio: map[string]Volume{}}
	for _, r := range e.Roles() {
		e.control.Audio[r] = Volume{Volume: 1}
	}
	kept, err := e.load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = kept.Scene.Check(e.Roles())
	}
	if err != nil {
		e.o.Log.Warn("scene and volumes are the event's, not those of before", "cause", err)
		return nil
	}
	e.control.Scene = kept.Scene
	for r, v := range kept.Audio {
		if _, ok := e.control.Audio[r]; ok && v.check() == nil {
			e.control.Audio[r] = v
		}
	}
	return nil
}

func (e *Engine) load() (c Control, err error) {
	if e.o.State == "" {
		return c, fs.ErrNotExist
	}
	data, err := os.ReadFile(e.o.State)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", e.o.State, err)
	}
	return c, nil
}

// save is called with the lock held, so that files are in the order of changes.
func (e *Engine) save(c Control) error {
	if e.o.State == "" {
		return nil
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(e.o.State), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(e.o.State, append(data, '\n'), 0o644)
}
