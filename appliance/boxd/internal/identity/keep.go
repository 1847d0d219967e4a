package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/openvideobox/videobox/appliance/boxd/internal/bootcfg"
	"github.com/openvideobox/videobox/internal/event"
)

// dir is boxd's folder on the data partition.
func (i *Identity) dir() string { return filepath.Join(i.o.Perm, "videobox") }

// readPerm takes over what the data partition holds, once it may be read: the
// copy of videobox.yaml, an event file put there by hand, the view kept last.
func (i *Identity) readPerm(onBoot []byte, there bool) {
	c, faults, err := bootcfg.Combine(onBoot, there, filepath.Join(i.dir(), bootcfg.Name))
	if err != nil {
		i.cause("copy of "+bootcfg.Name, err.Error())
	}
	var list []string
	for _, f := range faults {
		list = append(list, f.String())
	}
	i.cause(bootcfg.Name, strings.Join(list, "\n"))
	i.configure(context.Background(), c)
	i.readLocal()
	i.mu.Lock()
	v := i.view
	i.mu.Unlock()
	if v != nil {
		i.keep(v) // came before there was a place for it
		return
	}
	if v, err = i.readKept(); err != nil {
		i.cause("kept view", fmt.Sprintf("the event view kept in %s does not count: %v", i.dir(), err))
	}
	if v != nil {
		i.mu.Lock()
		if i.view == nil {
			i.view = v
		}
		i.mu.Unlock()
	}
}

// readLocal reads an event file that somebody has put onto the box. While it is
// there no view counts.
func (i *Identity) readLocal() {
	path := filepath.Join(i.o.Perm, "event.yaml")
	e, err := event.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	i.cause(path, errText(err))
	if err == nil {
		slog.Info("the event is a file on this box; none is looked for in the network", "file", path)
		i.mu.Lock()
		i.local = e
		i.mu.Unlock()
	}
}

func (i *Identity) viewFiles() (view, sig string) {
	return filepath.Join(i.dir(), "view.yaml"), filepath.Join(i.dir(), "view.sig")
}

// readKept reads the view kept last, and checks it as if it had just come.
func (i *Identity) readKept() (*view, error) {
	path, sigPath := i.viewFiles()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sig, err := os.ReadFile(sigPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := i.key()
	if err != nil {
		return nil, err
	}
	v, err := newView(data, sig, key)
	if err != nil {
		return nil, err
	}
	v.url = path
	return v, nil
}

// keep writes a view, so that a power cut leaves the old one or the new one:
// each file is flushed before it takes the other's place. A cut between the two
// leaves a signature that doesn't fit, and a box that asks again.
func (i *Identity) keep(v *view) {
	path, sigPath := i.viewFiles()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, v.data) {
		if sig, _ := os.ReadFile(sigPath); bytes.Equal(sig, v.sig) {
			return
		}
	}
	err := os.MkdirAll(i.dir(), 0o700)
	if err == nil {
		err = renameio.WriteFile(sigPath, v.sig, 0o600)
	}
	if err == nil {
		err = renameio.WriteFile(path, v.data, 0o600)
	}
	if err != nil {
		i.cause("keeping the view", fmt.Sprintf("the event view could not be kept: %v", err))
		return
	}
	i.cause("keeping the view", "")
}
