package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is what a number of readers saw.
type load struct {
	readers, lost int
	bytes         int64
	cpu, took     time.Duration
	gap99         time.Duration // 99th percentile of all gaps between reads
	worst99       time.Duration // 99th percentile of each reader's worst gap
	worst         time.Duration
	reads         int
	stall         time.Duration // of the machine, meanwhile
}

func (l load) perGB() float64 { return l.cpu.Seconds() / (float64(l.bytes) / 1e9) }

func (l load) String() string {
	return fmt.Sprintf("%d readers for %.1f s: %d lost, %.2f GB, %.3f s CPU per GB, %.1f reads/s each; gaps: 99 %% below %v, worst of 99 %% of readers %v, of all %v; the machine stalled up to %v",
		l.readers, l.took.Seconds(), l.lost, float64(l.bytes)/1e9, l.perGB(), float64(l.reads)/float64(l.readers)/l.took.Seconds(),
		l.gap99.Round(100*time.Microsecond), l.worst99.Round(100*time.Microsecond), l.worst.Round(100*time.Microsecond), l.stall.Round(100*time.Microsecond))
}

// workload is what tstee gets to do.
type workload struct {
	readers int
	stalled int // more, that never read
	piece   int // input in pieces of so many packets; 0: in units
	lasts   time.Duration
}

// measure reads with that many connections, after a second to settle.
func measure(tb testing.TB, c *child, w workload) load {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var stall time.Duration
	running.Go(func() {
		if err := feed(ctx, c.stdin, w.piece); err != nil {
			tb.Error("feed:", err)
		}
	})
	running.Go(func() { stall = gauge(ctx) })
	defer running.Wait()
	defer cancel()
	for range w.stalled {
		defer c.dial(tb, streamPort).Close()
	}
	reads := make([]reading, w.readers)
	var reading sync.WaitGroup
	for i := range reads {
		reads[i].conn = c.dial(tb, streamPort)
		_ = reads[i].conn.SetDeadline(time.Time{}) // stop ends it; to connect them all may take long
		defer reading.Wait()
		defer reads[i].conn.Close()
		reading.Go(reads[i].run)
	}
	time.Sleep(time.Second) // the burst of joining is not what is measured
	began, cpu, bytes := time.Now(), c.cpu(tb), received(reads)
	for i := range reads {
		reads[i].count.Store(true)
	}
	time.Sleep(w.lasts)
	l := load{readers: w.readers, bytes: received(reads) - bytes, took: time.Since(began), cpu: c.cpu(tb) - cpu}
	for i := range reads {
		reads[i].stop()
	}
	reading.Wait()
	cancel()
	running.Wait()
	l.stall = stall
	l.summarise(reads)
	return l
}

// gauge tells how long the machine lets a process wait that wants to run: how
// late the latest of many short sleeps ended.
func gauge(ctx context.Context) (worst time.Duration) {
	const step = 5 * time.Millisecond
	for at := time.Now().Add(step); sleepUntil(ctx, at); at = time.Now().Add(step) {
		worst = max(worst, time.Since(at))
	}
	return worst
}

// reading is one reader.
type reading struct {
	conn  net.Conn
	bytes atomic.Int64
	count atomic.Bool // gaps from now on
	over  atomic.Bool // no longer
	gaps  []time.Duration
	lost  bool
}

func (r *reading) run() {
	buf := make([]byte, 256<<10)
	last := time.Time{}
	for {
		n, err := r.conn.Read(buf)
		if r.over.Load() {
			return
		}
		if err != nil {
			r.lost = true
			return
		}
		now := time.Now()
		if r.count.Load() && !last.IsZero() {
			r.gaps = append(r.gaps, now.Sub(last))
		}
		last = now
		r.bytes.Add(int64(n))
	}
}

func (r *reading) stop() {
	r.over.Store(true)
	_ = r.conn.SetReadDeadline(time.Unix(1, 0))
}

func received(reads []reading) (sum int64) {
	for i := range reads {
		sum += reads[i].bytes.Load()
	}
	return sum
}

func (l *load) summarise(reads []reading) {
	var all, worst []time.Duration
	for i := range reads {
		g := reads[i].gaps
		if reads[i].lost || len(g) == 0 {
			l.lost++
			continue
		}
		all = append(all, g...)
		worst = append(worst, slices.Max(g))
	}
	l.reads = len(all)
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	slices.Sort(worst)
	l.gap99 = all[(len(all)-1)*99/100]
	l.worst99 = worst[(len(worst)-1)*99/100]
	l.worst = worst[len(worst)-1]
}

// The tests' limits are looser than what is promised, which the benchmarks
// print: other tests run beside them. The CPU time of the same work doubles on
// a busy machine, and a process that wants to run may have to wait; gauge says
// how long, and a process waits more than once in a chain of three.
const (
	promisedCPU = 0.8 // seconds per GB sent
	testedCPU   = 2 * promisedCPU
	promisedGap = 60 * time.Millisecond
	stalls      = 4
	attempts    = 3
)

func TestManyReadersAreCheap(t *testing.T) {
	l := measure(t, startTstee(t), workload{readers: 28, lasts: 5 * time.Second})
	t.Log(l)
	if l.lost > 0 || l.bytes < 28*4_000_000 {
		t.Errorf("%d lost, %d bytes read", l.lost, l.bytes)
	}
	if l.perGB() > testedCPU {
		t.Errorf("%.2f s CPU per GB, want at most %.1f, here %.1f", l.perGB(), promisedCPU, testedCPU)
	}
}

func TestFiveHundredReaders(t *testing.T) {
	for n := 1; ; n++ {
		c := startTstee(t)
		l := measure(t, c, workload{readers: 500, stalled: 20, lasts: 5 * time.Second})
		t.Log(l)
		s, err := c.status(t)
		if err != nil {
			t.Fatal(err)
		}
		if stream := hop(s, "stream"); l.lost > 0 || stream.Dropped > 20 {
			t.Fatalf("%d readers lost, %d dropped", l.lost, stream.Dropped)
		}
		limit := promisedGap + stalls*l.stall
		if l.worst99 <= limit {
			return
		}
		if n == attempts {
			t.Fatalf("worst gap %v, want at most %v, here %v", l.worst99, promisedGap, limit)
		}
	}
}

// SPROXY=/path/to/sproxy measures that beside it.
func BenchmarkReaders(b *testing.B) {
	for _, c := range []struct {
		name string
		w    workload
	}{
		{"28", workload{readers: 28}},
		{"28 in datagrams", workload{readers: 28, piece: 7}},
		{"28 in 10 kB", workload{readers: 28, piece: 56}},
		{"500", workload{readers: 500}},
		{"500 and 20 that never read", workload{readers: 500, stalled: 20}},
	} {
		c.w.lasts = 10 * time.Second
		b.Run(c.name, func(b *testing.B) { report(b, c.w, func() *child { return startTstee(b) }) })
		if path := os.Getenv("SPROXY"); path != "" && c.w.readers < 32 {
			b.Run("sproxy "+c.name, func(b *testing.B) { report(b, c.w, func() *child { return start(b, path) }) })
		}
	}
}

func report(b *testing.B, w workload, start func() *child) {
	for range b.N {
		l := measure(b, start(), w)
		b.Log(l)
		b.ReportMetric(l.perGB(), "CPU-s/GB")
		b.ReportMetric(float64(l.worst99.Microseconds())/1000, "worst-gap-ms")
		b.ReportMetric(float64(l.lost), "lost")
	}
}
