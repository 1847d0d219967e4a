package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrNothing is a time of which nothing is recorded.
var ErrNothing = errors.New("recording: nothing is recorded of that time")

// Piece is a time of a recording, as one transport stream that plays alone: it
// starts with PAT, PMT and the newest keyframe at or before the time asked for.
type Piece struct {
	Start, End time.Time // program time of its first picture, and of its last
	Size       int64     // bytes

	files   []File
	readers []io.Reader
}

// Cut finds what was recorded of a stream from a time on to another. Both are
// program time, as the index has it. Files are opened, so that the disk policy
// can't take them away; Close closes them.
func Cut(fsys FS, dir, name string, from, to time.Time) (*Piece, error) {
	if !to.After(from) {
		return nil, fmt.Errorf("recording: the time ends (%s) before it starts (%s)", to.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	list, err := List(fsys, dir, name)
	if err != nil {
		return nil, err
	}
	p := &Piece{}
	for _, e := range list {
		if !e.Start.Before(to) || e.End.Before(from) {
			continue
		}
		if err := p.add(fsys, filepath.Join(dir, name), e, from, to); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	if len(p.readers) == 0 {
		return nil, fmt.Errorf("%w: %s to %s", ErrNothing, from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return p, nil
}

// Read reads the piece, once.
func (p *Piece) Read(b []byte) (int, error) {
	for len(p.readers) > 0 {
		n, err := p.readers[0].Read(b)
		if n > 0 || err != io.EOF {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		p.readers = p.readers[1:]
	}
	return 0, io.EOF
}

// Close closes the files.
func (p *Piece) Close() (err error) {
	for _, f := range p.files {
		err = errors.Join(err, f.Close())
	}
	p.files = nil
	return err
}

// add takes what of a file lies in the time.
func (p *Piece) add(fsys FS, dir string, e Entry, from, to time.Time) error {
	f, err := fsys.OpenFile(filepath.Join(dir, e.File), os.O_RDONLY)
	if err != nil {
		return err
	}
	p.files = append(p.files, f)
	part, err := locate(f, e, from, to)
	if err != nil || part.end <= part.start {
		return err
	}
	if len(p.readers) == 0 {
		p.Start = part.first
	}
	p.End = part.last
	if len(part.tables) > 0 && len(p.readers) == 0 {
		p.readers = append(p.readers, bytes.NewReader(part.tables))
		p.Size += int64(len(part.tables))
	}
	p.readers = append(p.readers, io.NewSectionReader(f, part.start, part.end-part.start))
	p.Size += part.end - part.start
	return nil
}

// part is a place in a file.
type part struct {
	start, end  int64
	first, last time.Time
	tables      []byte // to go before it, when it doesn't start with them
}

// locate reads a file for the keyframe to begin with and the picture to end
// before.
func locate(f File, e Entry, from, to time.Time) (p part, err error) {
	info, err := f.Stat()
	if err != nil {
		return p, err
	}
	var at int64
	var shift time.Duration // of a file whose times were corrected
	known, begun, ended := false, false, false
	g := newGrouper(nil)
	g.handle = func(gr *group) {
		here := at
		at += int64(len(gr.packets))
		if !gr.picture || !gr.stamped || ended {
			return
		}
		now := gr.mark(time.Time{}).time
		if !known {
			known = true
			if e.Renamed != "" {
				shift = e.Start.Sub(now)
			}
		}
		now = now.Add(shift)
		switch {
		case !now.Before(to):
			ended, p.end = true, here
			return
		case gr.key && (!begun || !now.After(from)):
			begun, p.start, p.first, p.tables = true, here, now, nil
			if gr.tables < 2 {
				p.tables = append(append([]byte(nil), g.pat...), g.pmt...)
			}
		}
		p.last = now
	}
	if err := scanPart(f, 0, info.Size(), g); err != nil {
		return p, err
	}
	if !ended {
		p.end = at
	}
	if !begun {
		return part{}, nil
	}
	return p, nil
}
