package recording

import (
	"bytes"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

func recordedBytes(m *memFS) []byte {
	_, data := m.recorded()
	return bytes.Join(data, nil)
}

// kill ends a recorder as a signal would: what it has written by then is in the
// disk that is returned.
func kill(t *testing.T, r *Recorder, m *memFS) *memFS {
	t.Helper()
	synctest.Wait()
	left := m.copy()
	closeIt(t, r)
	return left
}

// However the first run ends, and wherever in a packet its connection breaks,
// the next one goes on to the packet.
func TestGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, plain := range []bool{false, true} {
			s := newStreamer()
			s.plain = plain
			ts := s.seconds(14)
			for n, cut := range []int{s.starts[0] + 1, s.starts[1] + 3*188 + 7, s.starts[5] - 188, s.starts[8], s.starts[8] + 188, s.starts[8] + 3*188, s.starts[9] + 40*188, s.starts[11] - 1} {
				for _, killed := range []bool{true, false} {
					m := newMemFS()
					r := open(t, testConfig(m))
					feed(t, r, ts[:cut])
					if killed {
						m = kill(t, r, m)
					} else {
						closeIt(t, r)
					}
					time.Sleep(time.Second)
					again := open(t, testConfig(m))
					if n > 0 && !again.Resuming() {
						t.Errorf("cut %d, killed %v: not resuming", n, killed)
					}
					from := 0
					if n > 2 {
						from = s.starts[n/2] // the ring has moved on
					}
					feed(t, again, ts[from:])
					st := again.Status()
					closeIt(t, again)
					if !bytes.Equal(recordedBytes(m), ts) {
						t.Errorf("plain %v, cut %d, killed %v: %d bytes recorded of %d", plain, n, killed, len(recordedBytes(m)), len(ts))
					}
					if st.Gaps != 0 || st.ContinuityErrors != 0 || st.State != OK {
						t.Errorf("plain %v, cut %d, killed %v: %+v", plain, n, killed, st)
					}
				}
			}
		}
	})
}

func TestRejoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		ts := s.seconds(60)
		at := 0
		for n := range 10 {
			end := s.starts[n*5+5] + 1000*n + n
			feed(t, r, ts[at:end])
			r.Rejoin("the connection was lost")
			at = s.starts[n*5+3]
			if n%2 == 1 {
				feed(t, r, ts[at:at+500]) // and lost again at once
				r.Rejoin("the connection was lost")
			}
		}
		feed(t, r, ts[at:])
		if st := r.Status(); st.Gaps != 0 || st.ContinuityErrors != 0 || st.GarbageBytes != 0 {
			t.Errorf("status %+v", st)
		}
		closeIt(t, r)
		if !bytes.Equal(recordedBytes(m), ts) {
			t.Errorf("%d bytes recorded of %d", len(recordedBytes(m)), len(ts))
		}
	})
}

func TestRejoinsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		ts := s.seconds(20)
		feed(t, r, ts[:s.starts[7]+9000])
		r.Rejoin("the connection was lost")
		feed(t, r, ts[s.starts[15]:])
		if st := r.Status(); st.Gaps != 1 || st.LastGap.Cause != "the connection was lost" || st.State != Degraded {
			t.Errorf("status %+v", st)
		}
		closeIt(t, r)
		if n := accounted(t, m, uint64(s.origin), uint64(s.origin+s.frame-1)); n < 7*testRate || n > 8*testRate {
			t.Errorf("%d frames are missing", n)
		}
	})
}

// A sender that hangs answers each new connection with what it had before.
func TestRepetitionIsNoLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		ts := s.seconds(5)
		feed(t, r, ts)
		for range 4 {
			time.Sleep(2 * time.Second)
			r.Rejoin("the connection was lost")
			feed(t, r, ts[s.starts[3]:])
		}
		if st := r.Status(); st.State != Failed || st.Cause != "the stream has brought nothing new for 8 s" {
			t.Errorf("%s, %q", st.State, st.Cause)
		}
		closeIt(t, r)
		if !bytes.Equal(recordedBytes(m), ts) {
			t.Error("the repetition is recorded")
		}
	})
}

// A sender that restarts goes on with later frames and other bytes.
func TestRejoinsARestartedSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, plain := range []bool{false, true} {
			m, s := newMemFS(), newStreamer()
			s.plain = plain
			r := open(t, testConfig(m))
			feed(t, r, s.seconds(5))
			other := newStreamer()
			other.plain, other.frame, other.seed = plain, s.frame+8, 7
			r.Rejoin("the connection was lost")
			feed(t, r, other.seconds(5))
			closeIt(t, r)
			names, data := m.recorded()
			if len(data) != 2 {
				t.Fatalf("plain %v: files %v", plain, names)
			}
			startsAlone(t, names[1], data[1])
			if plain {
				continue
			}
			if n := accounted(t, m, uint64(s.origin), uint64(s.origin+other.frame-1)); n != 25 {
				t.Errorf("%d frames are missing", n)
			}
		}
	})
}

// A sender whose clock went back is another stream, not a repetition.
func TestRejoinsAfterAClockWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, plain := range []bool{false, true} {
			m, s := newMemFS(), newStreamer()
			s.plain, s.origin = plain, s.origin+1e6
			r := open(t, testConfig(m))
			feed(t, r, s.seconds(3))
			r.Rejoin("the connection was lost")
			back := newStreamer()
			back.plain = plain
			feed(t, r, back.seconds(3))
			closeIt(t, r)
			if names, data := m.recorded(); len(data) != 2 || len(data[0])+len(data[1]) < s.out.Len()+back.out.Len() {
				t.Errorf("plain %v: files %v", plain, names)
			}
		}
	})
}

func TestTornTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		ts := s.seconds(9)
		feed(t, r, ts[:s.starts[8]+5000*188/100])
		left := kill(t, r, m)
		names, data := left.recorded()
		f := left.files[names[0]]
		whole := len(data[0])
		for _, torn := range []struct {
			name string
			tear func() []byte
			want int
		}{
			{"half a packet", func() []byte { return data[0][:whole-100] }, whole - 188},
			{"zeros at the end", func() []byte { return append(bytes.Clone(data[0][:whole-188*10]), make([]byte, 1000)...) }, whole - 188*10},
			{"a hole of zeros", func() []byte {
				b := bytes.Clone(data[0])
				clear(b[whole/2/188*188:][:4096])
				return b
			}, whole / 2 / 188 * 188},
			{"zeros for the end of the last packet", func() []byte {
				b := bytes.Clone(data[0][:188*515]) // which begins in one sector and ends in the next
				clear(b[len(b)/sector*sector:])
				return b
			}, 188 * 514},
			{"nothing", func() []byte { return nil }, 0},
		} {
			m := left.copy()
			m.files[names[0]] = &memFile{data: torn.tear(), changed: f.changed}
			r := open(t, testConfig(m))
			synctest.Wait()
			if torn.want == 0 {
				if _, still := m.files[names[0]]; still {
					t.Errorf("%s: the empty file is still there", torn.name)
				}
			} else if got, want := len(m.files[names[0]].data), int(proven(int64(torn.want))); got != want {
				t.Errorf("%s: cut to %d, want %d", torn.name, got, want)
			}
			feed(t, r, ts)
			closeIt(t, r)
			if !bytes.Equal(recordedBytes(m), ts) {
				t.Errorf("%s: %d bytes recorded of %d", torn.name, len(recordedBytes(m)), len(ts))
			}
		}
	})
}

func TestIndexesWhatAnEarlierRunLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := newMemFS(), newStreamer()
		r := open(t, testConfig(m))
		feed(t, r, s.seconds(45))
		closeIt(t, r)
		want := list(t, m)
		index := filepath.Join("/rec/box1", IndexName("box1"))
		m.files[index].data = m.files[index].data[:len(m.files[index].data)*2/5] // torn
		time.Sleep(time.Second)
		again := open(t, testConfig(m))
		feed(t, again, s.seconds(1)) // another part of the stream: the last file won't go on
		synctest.Wait()
		closeIt(t, again)
		got := list(t, m)
		if len(got) < len(want) {
			t.Fatalf("%d entries, want %d", len(got), len(want))
		}
		for i, e := range want {
			g := got[i]
			if g.File != e.File || g.Open || g.SHA256 != e.SHA256 && i < len(want)-1 || g.StartFrame != e.StartFrame || g.Pictures != e.Pictures && i < len(want)-1 {
				t.Errorf("entry %d: %+v, want %+v", i, g, e)
			}
		}
	})
}

// What is recorded never breaks a packet, whatever comes in.
func FuzzWrite(f *testing.F) {
	s := newStreamer()
	f.Add(s.seconds(1)[:60*188], uint16(500))
	f.Add([]byte("no stream at all"), uint16(3))
	f.Add(append(s.seconds(1)[:20*188], s.seconds(1)[:20*188]...), uint16(1999))
	f.Fuzz(func(t *testing.T, ts []byte, n uint16) {
		m := newMemFS()
		r := open(t, testConfig(m))
		at := min(int(n), len(ts))
		feed(t, r, ts[:at])
		r.Rejoin("fuzz")
		feed(t, r, ts[at:])
		closeIt(t, r)
		_, data := m.recorded()
		for _, d := range data {
			if len(d)%mpegts.PacketSize != 0 || trailingSync(d)*mpegts.PacketSize != len(d) {
				t.Errorf("a file of %d bytes", len(d))
			}
		}
	})
}
