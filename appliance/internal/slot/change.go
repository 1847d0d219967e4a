package slot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"

	"github.com/openvideobox/videobox/internal/fat"
)

// Try has the next start, and only that, take the other root. The running one
// must be what the boot partition names: else there is an update already that
// waits for a restart. One that fails leaves nothing to try.
func (c Card) Try() error {
	err := c.withBoot(os.O_RDWR, func(f *os.File) error {
		return change(f, cmdlineFile, func(line []byte) ([]byte, error) {
			n, err := rootIn(line)
			if err != nil {
				return nil, err
			}
			if n != c.Running {
				return nil, fmt.Errorf("the next start takes partition %d already, and %d runs; restart the box first", n, c.Running)
			}
			return append(without(line), " "+tryWord...), nil
		})
	})
	if err != nil {
		err = errors.Join(err, c.Untry()) // it may be written all the same
	}
	return err
}

// Untry takes Try back: the next start is a plain one.
func (c Card) Untry() error {
	return c.withBoot(os.O_RDWR, func(f *os.File) error {
		return change(f, cmdlineFile, func(line []byte) ([]byte, error) { return without(line), nil })
	})
}

// Switch has all further starts take a root. What systemd-boot reads, if it is
// there, comes first: gokrazy's init looks for trials in the other file only.
func (c Card) Switch(to int) error {
	if c.Root[to] == "" {
		return fmt.Errorf("there is no root partition %d", to)
	}
	root := func(text []byte) ([]byte, error) {
		at, _, two, err := rootAt(text)
		if err != nil {
			return nil, err
		}
		text[at] = two + byte(to-2)
		return without(text), nil
	}
	return c.withBoot(os.O_RDWR, func(f *os.File) error {
		if err := change(f, loaderFile, root); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return change(f, cmdlineFile, root)
	})
}

// Commit has all further starts take the running root, and makes sure of it.
func (c Card) Commit() error {
	if err := c.Switch(c.Running); err != nil {
		return err
	}
	n, err := c.Next()
	return c.took(n, err)
}

// took says whether a boot partition that was told the running root names it.
func (c Card) took(n int, err error) error {
	if err == nil && n != c.Running {
		err = fmt.Errorf("it names partition %d", n)
	}
	if err != nil {
		return fmt.Errorf("the boot partition was told partition %d: %w", c.Running, err)
	}
	return nil
}

// Mend has both files name the running root where one doesn't, and says whether
// it had to. A power cut during Switch leaves them apart: each is a sector of its
// own, and the cut may keep either. What runs then is what the firmware read, and
// Next and Try would speak of the other one for good. It is for the first moment
// after a start only: later, a file that names the other root may be a switch
// that waits for a restart. In a trial it does nothing.
func (c Card) Mend() (mended bool, err error) {
	if c.OnTrial() {
		return false, nil
	}
	named, err := c.named()
	if err != nil || !slices.ContainsFunc(named, func(n int) bool { return n != c.Running }) {
		return false, err
	}
	return true, c.Switch(c.Running)
}

// named is the root that each file names, of those that are there.
func (c Card) named() (list []int, err error) {
	for _, path := range []string{loaderFile, cmdlineFile} {
		text, err := c.ReadBoot(path)
		if errors.Is(err, fs.ErrNotExist) && path == loaderFile {
			continue
		}
		if err != nil {
			return nil, err
		}
		n, err := rootIn(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, n)
	}
	return list, nil
}

// Settle has what gokrazy's init wrote reach the card: it doesn't flush.
func (c Card) Settle() error {
	return c.withBoot(os.O_RDWR, func(*os.File) error { return nil })
}

// change overwrites a file where it lies, filled up with the spaces that it
// ends in. Such files are smaller than a sector, so that a power cut leaves the
// old or the new one.
func change(f *os.File, path string, to func([]byte) ([]byte, error)) error {
	file, err := fat.Find(f, path)
	if err != nil {
		return err
	}
	at, err := file.Offset()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	old, err := fat.ReadFile(f, path)
	if err != nil {
		return err
	}
	text, err := to(bytes.Clone(old))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	text, err = padded(text, old)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	_, err = f.WriteAt(text, at)
	return err
}

// words of a trial, with the spaces before them.
var words = regexp.MustCompile(` *(` + regexp.QuoteMeta(tryWord) + `|` + regexp.QuoteMeta(triedWord) + `)`)

// without takes the words of former trials away, and the spaces at the end.
func without(text []byte) []byte {
	return bytes.TrimRight(words.ReplaceAllLiteral(text, nil), " \n")
}

// padded makes the text as long as the old one, with a line's end if that had
// one.
func padded(text, old []byte) ([]byte, error) {
	end := old[len(bytes.TrimRight(old, "\n")):]
	spaces := len(old) - len(text) - len(end)
	if spaces < 0 {
		return nil, fmt.Errorf("no room for %d bytes more; gokrazy's tools leave 64 spaces at its end", -spaces)
	}
	return append(append(text, bytes.Repeat([]byte{' '}, spaces)...), end...), nil
}
