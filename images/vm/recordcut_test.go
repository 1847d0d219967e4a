//go:build vm

package vm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/images/vm/blocklog"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// What a power cut may cost: this, and a stall of the disk in progress.
const mayLose = time.Second

// frameRate of the box in the virtual machine.
const frameRate = 10

// seenFrame is when a reader of the stream got a frame.
type seenFrame struct {
	at    time.Time
	frame uint64
}

// logSize is how long the log of the disk was at a time.
type logSize struct {
	at    time.Time
	bytes int64
}

// recorded is a run of a box that records, up to the moment its plug was pulled.
type recorded struct {
	card, log string
	sizes     []logSize
	frames    []seenFrame
	stream    []byte // as a reader got it
	end       int    // where its end begins: what a box records after its next start
	goOn      uint64 // the first frame of it
	full      uint64 // the last frame that the disk had room for; 0: all

	mu      sync.Mutex
	keeping bool
	keys    int // seen while keeping
}

// afterwards is how many keyframes of the stream are kept for going on.
const afterwards = 4

// Video notes a frame's number.
func (r *recorded) Video(u media.Unit) {
	if s, ok := h264.FindStamp(u.Data); ok {
		r.frames = append(r.frames, seenFrame{time.Now(), s.Frame})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keeping && u.Key {
		r.keys++
	}
}

// Write keeps the stream.
func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stream = append(r.stream, p...)
	return len(p), nil
}

func (r *recorded) keptEnough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys >= afterwards
}

func (r *recorded) keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keeping, r.end = true, len(r.stream)
}

// Audio is of no interest.
func (r *recorded) Audio(media.Unit) {}

// record boots a card, lets it record for a while, and pulls the plug. What is
// not nil looks at the box at its start, or does something to it halfway.
func record(t *testing.T, card string, d time.Duration, first, halfway func(box)) *recorded {
	t.Helper()
	r := &recorded{card: card, log: card + ".log"}
	b := boot(t, func(c *vm.Config) { c.Image, c.Perm, c.Log, c.Ports[saboteurPort] = card, nil, r.log, 0 })
	if first != nil {
		first(b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b.streams(ctx, t)
	c, err := net.Dial("tcp", b.Addr(8899))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = mpegts.Demux(io.TeeReader(c, r), r) }()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for until := time.Now().Add(d); time.Now().Before(until); <-poll.C {
		if halfway != nil && time.Until(until) < d/2 {
			halfway(b)
			halfway = nil
		}
		info, err := os.Stat(r.log)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.sizes); n == 0 || r.sizes[n-1].bytes != info.Size() {
			r.sizes = append(r.sizes, logSize{time.Now(), info.Size()})
		}
	}
	r.keep()
	for until := time.Now().Add(time.Minute); !r.keptEnough(); <-poll.C {
		if time.Now().After(until) {
			t.Fatal("the stream brings no keyframes")
		}
	}
	b.Stop()
	c.Close()
	<-ended
	r.goOn = r.newest(r.sizes[len(r.sizes)-1].at)
	return r
}

// when is the time at which the log had that many bytes.
func (r *recorded) when(bytes int64) time.Time {
	i := sort.Search(len(r.sizes), func(i int) bool { return r.sizes[i].bytes >= bytes })
	return r.sizes[min(i, len(r.sizes)-1)].at
}

// newest is the newest frame that a reader had at that time.
func (r *recorded) newest(at time.Time) uint64 {
	i := sort.Search(len(r.frames), func(i int) bool { return r.frames[i].at.After(at) })
	if i == 0 {
		return 0
	}
	return r.frames[i-1].frame
}

// cuts is the log of the run, for /perm or for all of the card.
func (r *recorded) cuts(t *testing.T, whole bool) *cuts {
	t.Helper()
	info, err := os.Stat(r.card)
	if err != nil {
		t.Fatal(err)
	}
	w := blocklog.Window{Size: info.Size()}
	if !whole {
		w.Start = partOf(t, r.card, 4).Start
		w.Size -= w.Start
	}
	return newCuts(t, r.card, r.log, w)
}

// span is what of the log was written while a file was there: from three seconds
// after the stream's first frame on.
func (r *recorded) span(t *testing.T, l *blocklog.Log) (from, to int) {
	t.Helper()
	from, to = l.At(r.sizes[0].bytes), l.At(r.sizes[len(r.sizes)-1].bytes)
	for from < to && r.when(l.End(from+1)).Before(r.frames[0].at.Add(3*time.Second)) {
		from++
	}
	if from >= to-10 {
		t.Fatalf("the log has %d entries, of which %d are before the first file", to, from)
	}
	return from, to
}

// recordCuts replays n power cuts of a recording and checks loss, files and
// index. Torn also tears the index.
func (r *recorded) recordCuts(t *testing.T, n int, torn bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	c := r.cuts(t, false)
	from, to := r.span(t, c.log)
	rnd := rand.New(rand.NewPCG(9, uint64(n)))
	var losses []float64
	bad := 0
	for i, at := range points(to-from, n) {
		loss, err := r.oneCut(t, c, from+at, uint64(i), torn && i%2 == 0, rnd)
		if err != nil {
			if bad++; bad < 10 {
				t.Errorf("cut at %d of %d, seed %d: %v", from+at, to, i, err)
			}
			continue
		}
		losses = append(losses, loss)
	}
	slices.Sort(losses)
	if len(losses) == 0 {
		t.Fatal("nothing was replayed")
	}
	t.Logf("%d cuts, %d faulty; lost: median %.1f s, 99 %% %.1f s, most %.1f s", n, bad,
		losses[len(losses)/2], losses[len(losses)*99/100], losses[len(losses)-1])
}

// stall is for how long the whole machine stood still shortly before a cut: a
// reader got no frame either, as it happens where machines without KVM share a
// host. Nothing that the disk or record does can make it longer.
func (r *recorded) stall(cut time.Time) (longest time.Duration) {
	last := cut
	for i := sort.Search(len(r.frames), func(i int) bool { return r.frames[i].at.After(cut) }) - 1; i >= 0 && cut.Sub(last) < 2*time.Second; i-- {
		longest = max(longest, last.Sub(r.frames[i].at)-2*time.Second/frameRate)
		last = r.frames[i].at
	}
	return longest
}

// flushes are the disk's last ones before a cut, in seconds before it.
func (r *recorded) flushes(l *blocklog.Log, at int) (list []float64) {
	cut := r.when(l.End(at))
	for i := at; i > 0 && len(list) < 5; i-- {
		if l.Entries[i-1].Flush {
			list = append(list, cut.Sub(r.when(l.End(i))).Seconds())
		}
	}
	return list
}

// oneCut is how many seconds of the stream a cut has cost.
func (r *recorded) oneCut(t *testing.T, c *cuts, at int, seed uint64, torn bool, rnd *rand.Rand) (float64, error) {
	name := c.cut(t, at, seed)
	if _, err := repairPerm(t.Context(), name); err != nil {
		return 0, err
	}
	var o outcome
	err := mountedAt(name, 0, func(dir string) (err error) {
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if torn {
			if err := tearIndex(dir, rnd); err != nil {
				return err
			}
		}
		o, err = r.look(t.Context(), dir, seed%20 == 0)
		return err
	})
	if err != nil {
		return 0, err
	}
	cut := r.when(c.log.End(at))
	stall := r.stall(cut)
	want := r.newest(cut.Add(-mayLose - stall))
	if r.full > 0 {
		want = min(want, r.full)
	}
	now := r.newest(cut)
	if r.full > 0 {
		now = min(now, r.full)
	}
	loss := (float64(now) - float64(o.last)) / frameRate
	if o.last < want {
		return loss, fmt.Errorf("the last of %d files ends with frame %d, %.1f s before the cut; the machine had stood still for %v; the disk flushed %.2f s before it", o.files, o.last, loss, stall, r.flushes(c.log, at))
	}
	return max(loss, 0), nil
}

// TestDrillRecordCut: a thousand power cuts of one recording, and some with a
// torn index. Without flushes the same check finds much to complain of.
func TestDrillRecordCut(t *testing.T) {
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	r := recordOnce(t, func(dir string) *recorded {
		return record(t, newCard(t, dir, imageBytes(t), perm), 60*time.Second, nil, nil)
	})
	t.Run("1000", func(t *testing.T) { r.recordCuts(t, 1000, false) })
	t.Run("torn index", func(t *testing.T) { r.recordCuts(t, 200, true) })
	t.Run("check finds a disk that never flushes", r.withoutFlushes)
	t.Run("check finds a damaged file", r.damaged)
	t.Run("booted", func(t *testing.T) { r.bootCuts(t, 20) })
}

// withoutFlushes replays the log as that of a recorder that never flushes.
func (r *recorded) withoutFlushes(t *testing.T) {
	c := r.cuts(t, false)
	from, to := r.span(t, c.log)
	for i := range c.log.Entries[from:] {
		c.log.Entries[from+i].Flush = false
	}
	faults := 0
	for i := range 20 {
		if _, err := r.oneCut(t, c, to-20+i, uint64(i), false, nil); err != nil {
			faults++
		}
	}
	t.Logf("%d faults found in 20 cuts", faults)
	if faults < 18 {
		t.Errorf("%d faults found in 20 cuts", faults)
	}
}

// damaged flips one bit of what was recorded, in the middle of what was sent.
func (r *recorded) damaged(t *testing.T) {
	c := r.cuts(t, false)
	_, to := r.span(t, c.log)
	name := c.cut(t, to, 0)
	if _, err := repairPerm(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	err := mountedAt(name, 0, func(dir string) error {
		if err := r.flip(dir); err != nil {
			return err
		}
		_, err := r.look(t.Context(), dir, false)
		t.Logf("found: %v", err)
		if err == nil {
			t.Error("a flipped bit is not found")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// flip does so in the file that has it.
// A sync byte would not do: what comes after one that is wrong counts as torn by the
// cut, and is taken off.
func (r *recorded) flip(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "recordings", "*", "*.ts"))
	if err != nil {
		return err
	}
	middle := r.stream[len(r.stream)/2/mpegts.PacketSize*mpegts.PacketSize:][:16*mpegts.PacketSize]
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if at := bytes.Index(data, middle); at >= 0 {
			data[at+len(middle)/2+10] ^= 1
			return os.WriteFile(file, data, 0o644)
		}
	}
	return fmt.Errorf("none of %d files has what was sent", len(files))
}

// TestDrillRecordCutFull: the disk fills up while it records. After the cut
// somebody makes room.
func TestDrillRecordCutFull(t *testing.T) {
	perm, err := vm.BoxPerm("secret")
	if err != nil {
		t.Fatal(err)
	}
	r := recordOnce(t, func(dir string) *recorded {
		if err := makeSabotaged(); err != nil {
			t.Fatal(err)
		}
		card := newCardOf(t, sabotaged, dir, imageBytes(t), perm)
		return record(t, card, 60*time.Second, nil, func(b box) { victim{b}.sabotage(t, "fill /perm 0") })
	})
	c := r.cuts(t, false)
	_, to := r.span(t, c.log)
	name := c.cut(t, to, 0)
	if _, err := repairPerm(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	err = mountedAt(name, 0, func(dir string) error {
		files, err := filepath.Glob(filepath.Join(dir, "recordings", "*", "*.ts"))
		for _, f := range files {
			last, _, perr := r.play(f)
			r.full, err = max(r.full, last), errors.Join(err, perr)
		}
		return err
	})
	if end := r.newest(r.sizes[len(r.sizes)-1].at); err != nil || r.full == 0 || r.full+5*frameRate > end {
		t.Fatalf("the disk was not full: recorded up to frame %d of %d, %v", r.full, end, err)
	}
	t.Logf("full %.1f s before the end", float64(r.newest(r.sizes[len(r.sizes)-1].at)-r.full)/frameRate)
	t.Run("300", func(t *testing.T) { r.recordCuts(t, 300, false) })
}
