package tee

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/mpegts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBlock is small, so that rings turn quickly: 16 packets.
const testBlock = 16 * mpegts.PacketSize

// immediate is a ring that shows what is written at once.
func immediate(size int) *Ring {
	r := newRing(size, testBlock)
	r.SetDelay(0)
	return r
}

func write(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if n, err := w.Write(b); n != len(b) || err != nil {
		t.Fatalf("Write of %d bytes: %d, %v", len(b), n, err)
	}
}

// pending is everything that a reader can get without waiting.
func pending(t testing.TB, rd *Reader) (all []byte) {
	t.Helper()
	for {
		rd.unpin()
		b, err := rd.poll()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return all
		}
		all = append(all, b...)
	}
}

func TestReaderStartsAtKeyframe(t *testing.T) {
	for _, c := range []struct {
		from From
		want int64
	}{
		{Newest, 250},
		// Half of 100 blocks are 800 packets; a GOP of 25 has 302, 62 follow it.
		{HalfBack, 200},
	} {
		var m maker
		r := immediate(100 * testBlock)
		for range 10 {
			write(t, r, m.gop(25))
		}
		write(t, r, m.gop(5))
		rd := r.NewReader(c.from)
		b := pending(t, rd)
		if got := frameOf(b); got != c.want {
			t.Errorf("from %v: starts at frame %d, want %d", c.from, got, c.want)
		}
		write(t, r, m.gop(25))
		checkStream(t, append(b, pending(t, rd)...))
		rd.Close()
	}
}

func TestHalfBackOfLittleIsTheOldest(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	write(t, r, m.gop(10))
	write(t, r, m.gop(10))
	rd := r.NewReader(HalfBack)
	defer rd.Close()
	if got := frameOf(pending(t, rd)); got != 0 {
		t.Errorf("starts at frame %d, want 0", got)
	}
}

// A reader that waited gets the first keyframe, however many come at once.
func TestWaitingReaderMissesNothing(t *testing.T) {
	for _, from := range []From{Newest, HalfBack} {
		var m maker
		r := immediate(100 * testBlock)
		write(t, r, m.frame(false, 10))
		rd := r.NewReader(from)
		write(t, r, append(append(m.gop(5), m.gop(5)...), m.gop(5)...))
		if got := frameOf(pending(t, rd)); got != 1 {
			t.Errorf("from %v: starts at frame %d, want 1", from, got)
		}
		rd.Close()
	}
}

func TestReaderWaitsForKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m maker
		r := immediate(20 * testBlock)
		write(t, r, m.frame(false, 10))
		rd := r.NewReader(Newest)
		got := make(chan []byte)
		go func() {
			b, _ := rd.Next(t.Context())
			got <- bytes.Clone(b)
		}()
		write(t, r, m.frame(false, 10))
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("got something before the first keyframe")
		default:
		}
		write(t, r, m.frame(true, 10))
		tables := <-got
		checkStream(t, append(tables, pending(t, rd)...))
		rd.Close()
	})
}

func TestLappedReader(t *testing.T) {
	var m maker
	r := immediate(8 * testBlock)
	write(t, r, m.gop(2))
	rd := r.NewReader(Newest)
	defer rd.Close()
	if _, err := rd.Next(t.Context()); err != nil { // the tables
		t.Fatal(err)
	}
	held, err := rd.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(held)
	for range 30 {
		write(t, r, m.gop(10))
	}
	if !bytes.Equal(held, before) {
		t.Error("the writer changed what a reader holds")
	}
	if !rd.Lapped() {
		t.Error("Lapped is false")
	}
	for range 2 {
		if _, err := rd.Next(t.Context()); !errors.Is(err, ErrLapped) {
			t.Errorf("Next: %v, want ErrLapped", err)
		}
	}
	if s := r.Stats(); s.Lapped != 1 || s.Readers != 1 || s.Joined != 1 {
		t.Errorf("%+v", s)
	}
}

func TestCloseGivesTheRest(t *testing.T) {
	var m maker
	r := NewRing(1 << 20) // with its delay: Close must not lose what waits
	write(t, r, m.gop(3))
	rd := r.NewReader(Newest)
	r.Close()
	if err := r.Close(); err != nil {
		t.Error("Close again:", err)
	}
	all, err := io.ReadAll(rd)
	if err != nil {
		t.Fatal(err)
	}
	checkStream(t, all)
	if want := (2 + 3*12) * mpegts.PacketSize; len(all) != want {
		t.Errorf("%d bytes, want %d", len(all), want)
	}
	if _, err := r.Write(m.gop(1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write after Close: %v", err)
	}
	rd.Close()
	rd.Close()
	if n := r.Stats().Readers; n != 0 {
		t.Errorf("%d readers", n)
	}
}

func TestNextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			end  func(cancel func(), rd *Reader, r *Ring)
			want error
		}{
			{"context", func(cancel func(), _ *Reader, _ *Ring) { cancel() }, context.Canceled},
			{"reader closed", func(_ func(), rd *Reader, _ *Ring) { rd.Close() }, io.ErrClosedPipe},
			{"ring closed", func(_ func(), _ *Reader, r *Ring) { r.Close() }, io.EOF},
		} {
			r := immediate(4 * testBlock)
			rd := r.NewReader(Newest)
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan error)
			go func() {
				_, err := rd.Next(ctx)
				got <- err
			}()
			synctest.Wait()
			c.end(cancel, rd, r)
			if err := <-got; !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			cancel()
			rd.Close()
			if n := len(r.waiting); n > 0 {
				t.Errorf("%s: %d still waiting", c.name, n)
			}
		}
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m maker
		r := NewRing(1 << 20)
		rd := r.NewReader(Newest)
		defer rd.Close()
		began := time.Now()
		write(t, r, m.frame(true, 4))
		time.Sleep(3 * time.Millisecond)
		write(t, r, m.frame(false, 4)) // comes with the first
		for range 2 {                  // tables, stream
			if _, err := rd.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d != Delay(1) {
			t.Errorf("woken after %v, want %v", d, Delay(1))
		}
		if lag := rd.Lag(); lag != 0 {
			t.Errorf("%d bytes did not come along", lag)
		}
		write(t, r, m.frame(false, publishAt/mpegts.PacketSize)) // too much to wait
		if rd.Lag() == 0 {
			t.Error("a large write waited")
		}
	})
}

func TestDelayByReaders(t *testing.T) {
	for readers, want := range map[int]time.Duration{0: 5, 6: 5, 12: 9, 28: 20, 100: 20, 500: 12} {
		if got := Delay(readers); got != want*time.Millisecond {
			t.Errorf("%d readers: %v, want %d ms", readers, got, want)
		}
	}
}

func TestNoiseIsSkipped(t *testing.T) {
	var m maker
	r := immediate(1 << 20)
	rd := r.NewReader(Newest)
	defer rd.Close()
	noise := bytes.Repeat([]byte{1, 2, 3}, 100)
	write(t, r, noise)
	write(t, r, m.gop(3))
	write(t, r, noise)
	write(t, r, m.gop(3))
	checkStream(t, pending(t, rd))
	s := r.Stats()
	if s.Skipped != 600 || s.SyncLosses == 0 || s.Keyframes != 2 {
		t.Errorf("%+v; want 600 bytes skipped, sync lost, 2 keyframes", s)
	}
	if want := uint64(2 * (2 + 3*12) * mpegts.PacketSize); s.Bytes != want {
		t.Errorf("%d bytes, want %d", s.Bytes, want)
	}
}

// Readers on all sides of the writer: for the race detector, too.
func TestManyReaders(t *testing.T) {
	var m maker
	r := NewRing(1 << 20)
	write(t, r, m.gop(5))
	var wg sync.WaitGroup
	for i := range 16 {
		rd := r.NewReader(From(i % 2))
		wg.Go(func() {
			defer rd.Close()
			var all []byte
			for {
				b, err := rd.Next(context.Background())
				if err != nil {
					if err != io.EOF && !errors.Is(err, ErrLapped) {
						t.Error(err)
					}
					checkStream(t, all)
					return
				}
				all = append(all, b...)
			}
		})
	}
	for range 400 {
		write(t, r, m.gop(5))
	}
	r.Close()
	wg.Wait()
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	var m maker
	r := immediate(20 * testBlock)
	rd := r.NewReader(Newest)
	defer rd.Close()
	for range 10 {
		write(t, r, m.gop(25))
		pending(t, rd)
	}
	frame := m.frame(false, 10)
	buf := make([]byte, 1<<16)
	if n := testing.AllocsPerRun(500, func() {
		write(t, r, frame)
		if _, err := rd.Read(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
