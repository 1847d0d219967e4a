package event

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Load reads the event file and the secrets file that it names. A missing
// secrets file means no secrets: a host that needs none has none. The error
// holds every fault found, one a line.
//
// Path may be a list like PATH: the first file of it that exists counts, and
// no other, so that what is wrong with it isn't hidden by the next.
func Load(path string) (*Event, error) {
	path = firstOf(filepath.SplitList(path))
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("event file: %w", err)
	}
	e, err := parse(path, data, false)
	if e == nil || e.file.Secrets == "" {
		return e, err
	}
	secrets, serr := loadSecrets(e.resolve(e.file.Secrets), e)
	if err := errors.Join(err, serr); err != nil {
		return nil, err
	}
	e.setSecrets(secrets)
	return e, nil
}

// firstOf is the first path that exists, or else the last.
func firstOf(paths []string) (path string) {
	for _, path = range paths {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return path
}

// Parse is Load for bytes, without the secrets file. The path is for error
// messages, and relative paths start in its folder.
func Parse(path string, data []byte) (*Event, error) {
	return parse(path, data, false)
}

// ParseView is Parse for a view that a mixer-host serves, after Verify.
func ParseView(data []byte) (*Event, error) {
	return parse("event view", data, true)
}

func parse(path string, data []byte, view bool) (*Event, error) {
	b := &binder{path: path, lines: map[string]int{}}
	s := newSchema()
	b.parse(data, &s)
	if len(b.errs) > 0 {
		return nil, b.err()
	}
	newChecker(b, &s).check(view)
	if err := b.err(); err != nil {
		return nil, err
	}
	return newEvent(path, s), nil
}

// resolve makes a path of the event file absolute or relative to the working
// folder; "" stays.
func (e *Event) resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(e.Dir, path)
}

func loadSecrets(path string, e *Event) (Secrets, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Secrets{}, nil
	}
	if err != nil {
		return Secrets{}, fmt.Errorf("secrets file: %w", err)
	}
	return parseSecrets(path, data, e)
}
