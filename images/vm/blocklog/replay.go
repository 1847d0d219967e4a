package blocklog

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// Disk is what is written to: a file of the disk's size, or a part of it.
type Disk interface{ io.WriterAt }

// Window is a part of the disk, such as a partition: entries outside are left
// out. The zero one is the whole disk.
type Window struct{ Start, Size int64 }

// Apply writes the entries from first up to, not including, end.
func (l *Log) Apply(d Disk, w Window, first, end int) error {
	for _, e := range l.Entries[first:end] {
		if err := l.write(d, w, e, func() bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// Tear writes what a power cut after the first n entries can leave of those
// that no flush has made certain, by seed: each entry is lost, there, or torn
// into pieces of 512 bytes. Before it, Apply must have written the certain ones.
func (l *Log) Tear(d Disk, w Window, n int, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	for _, e := range l.Entries[l.Flushed(n):n] {
		keep := func() bool { return true }
		switch fate := r.IntN(3); {
		case e.FUA:
		case fate == 0:
			keep = func() bool { return false }
		case fate == 1:
			keep = func() bool { return r.IntN(2) == 0 }
		}
		if err := l.write(d, w, e, keep); err != nil {
			return err
		}
	}
	return nil
}

// write writes those pieces of an entry that are kept.
func (l *Log) write(d Disk, w Window, e Entry, keep func() bool) error {
	if w == (Window{}) {
		w.Size = 1<<63 - 1
	}
	from, to := max(e.Offset, w.Start), min(e.Offset+e.Length, w.Start+min(w.Size, 1<<62))
	if from >= to || e.Discard && e.Length > maxWrite {
		return nil // a discard only allows to forget
	}
	b := make([]byte, to-from)
	if !e.Discard {
		if _, err := l.r.ReadAt(b, e.data+from-e.Offset); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
	}
	for at := int64(0); at < int64(len(b)); {
		n := int64(0) // pieces in a row at once
		for at+n < int64(len(b)) && keep() {
			n += piece
		}
		n = min(n, int64(len(b))-at)
		if n > 0 {
			if _, err := d.WriteAt(b[at:at+n], from-w.Start+at); err != nil {
				return err
			}
		}
		at += n + piece // the one that isn't kept
	}
	return nil
}
