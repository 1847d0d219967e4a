package recording

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/openvideobox/videobox/internal/mpegts"
)

const (
	// Behind the last flush lies what half a second and one stall can have
	// brought: no more than this is looked through for packets that a power cut
	// tore.
	repairBytes = 16 << 20 / mpegts.PacketSize * mpegts.PacketSize
	// The last picture starts within this much of the end: a second of 64 Mbit/s.
	tailBytes = 8 << 20 / mpegts.PacketSize * mpegts.PacketSize
	headBytes = 1 << 10 * mpegts.PacketSize
)

// tail is the end of the newest file, where recording may go on.
type tail struct {
	name     string
	indexed  bool
	first    mark // the file's first picture
	pos      position
	pat, pmt []byte
	gaps     []Gap // before the file
}

// leftovers are what an earlier run left.
type leftovers struct {
	tail      *tail
	unindexed []string // without the tail's file
}

// repair cuts the newest file to its last whole packet and finds what is not
// indexed.
func repair(fsys FS, dir, name string, log *slog.Logger) (leftovers, error) {
	var left leftovers
	files, err := recordings(fsys, dir, name)
	if err != nil || len(files) == 0 {
		return left, err
	}
	indexed, err := loadIndex(fsys, dir, name)
	if err != nil {
		log.Warn("recording: reading the index", "dir", dir, "error", err)
	}
	last := files[len(files)-1]
	for _, f := range files[:len(files)-1] {
		if e, ok := indexed[f.name]; !ok || e.Bytes != f.size {
			left.unindexed = append(left.unindexed, f.name)
		}
	}
	size, err := cutTorn(fsys, filepath.Join(dir, last.name), indexed[last.name].Bytes == last.size, log)
	if err != nil {
		return left, err
	}
	if size == 0 {
		return left, fsys.Remove(filepath.Join(dir, last.name))
	}
	t, err := readTail(fsys, dir, last.name)
	if err != nil {
		return left, err
	}
	e, ok := indexed[last.name]
	t.indexed = ok && e.Bytes == size
	for _, g := range e.Gaps {
		if e.Bytes == 0 || !g.End.After(e.Start) { // noted at its beginning, or before it
			t.gaps = append(t.gaps, g)
		}
	}
	if t.pos.known() {
		left.tail = t
	} else if !t.indexed {
		left.unindexed = append(left.unindexed, last.name)
	}
	return left, nil
}

// cutTorn cuts a file behind its last whole packet and returns its size then. A
// file that was closed and indexed is whole unless it shows otherwise.
func cutTorn(fsys FS, name string, closed bool, log *slog.Logger) (int64, error) {
	f, err := fsys.OpenFile(name, os.O_RDWR)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	whole := info.Size() / mpegts.PacketSize * mpegts.PacketSize
	from := max(0, whole-repairBytes)
	b := make([]byte, whole-from)
	if _, err := io.ReadFull(io.NewSectionReader(f, from, whole-from), b); err != nil {
		return 0, fmt.Errorf("reading the end of %s: %w", name, err)
	}
	good := from + int64(trailingSync(b))*mpegts.PacketSize
	if !closed || good != info.Size() {
		good = proven(good)
	}
	if good == info.Size() {
		return good, nil
	}
	log.Warn("recording: the file was torn", "file", name, "bytes_cut", info.Size()-good)
	if err := f.Truncate(good); err != nil {
		return 0, err
	}
	return good, f.Sync()
}

// sector is what a power cut leaves as a whole or not at all.
const sector = 512

// proven leaves out the last packet if it ends in another sector than the one
// that its sync byte shows to be there. What the sector lacks, the next start
// finds in the stream again, or it is part of the gap.
func proven(good int64) int64 {
	if start := good - mpegts.PacketSize; start >= 0 && start/sector != (good-1)/sector {
		return start
	}
	return good
}

// readTail finds out where a file starts and where it ends in the stream.
func readTail(fsys FS, dir, name string) (*tail, error) {
	f, err := fsys.OpenFile(filepath.Join(dir, name), os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	t := &tail{name: name}
	at := file{name: name}.nameTime()
	found := false
	g := newGrouper(func(gr *group) {
		if gr.picture && !found {
			t.first, found = gr.mark(at), true
		}
	})
	if err := scanPart(f, 0, min(headBytes, info.Size()), g); err != nil {
		return nil, err
	}
	t.pat, t.pmt = g.pat, g.pmt
	g.reset()
	g.handle = func(gr *group) { t.pos.add(gr, at) }
	from := max(0, info.Size()-tailBytes)
	return t, scanPart(f, from, info.Size()-from, g)
}

// scanPart feeds a part of a file, which starts at a packet, to a grouper.
func scanPart(f File, from, n int64, g *grouper) error {
	var scan mpegts.Scanner
	buf := make([]byte, blockSize)
	r := io.NewSectionReader(f, from, n)
	for {
		n, err := r.Read(buf)
		scan.Scan(buf[:n], g.packet)
		if err == io.EOF {
			g.flush()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// bootID tells the recordings of one boot, made before the clock was right,
// from those of another.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	id := strings.TrimSpace(string(b))
	if err != nil || len(id) < 8 {
		return "00000000"
	}
	return id[:8]
})
