package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/mpegts"
)

// binary builds tstee once: load is measured on the program as it ships.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tstee")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// child is a running tstee, or a program that stands for it.
type child struct {
	*exec.Cmd
	stdin  io.WriteCloser
	shift  int
	stderr *lockedBuffer
}

// lockedBuffer takes the log of a process that goes on writing.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// freeShift finds a PORTSHIFT of which every port is free.
func freeShift(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		shift := 2000 + rand.IntN(8000) // sproxy takes 2 to 10000
		if free(shift+streamPort, shift+bufferedPort, shift+httpPort, shift+statusPort) {
			return shift
		}
	}
	tb.Fatal("no free ports")
	return 0
}

func free(ports ...int) bool {
	for _, p := range ports {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}

// start runs path with a shift, and ends it with the test.
func start(tb testing.TB, path string, args ...string) *child {
	tb.Helper()
	c := &child{shift: freeShift(tb), stderr: &lockedBuffer{}}
	c.Cmd = exec.Command(path, append(args, strconv.Itoa(c.shift))...)
	c.Stderr = c.stderr
	in, err := c.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	c.stdin = in
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		if tb.Failed() && c.stderr.String() != "" {
			tb.Logf("%s said:\n%s", filepath.Base(path), c.stderr)
		}
	})
	return c
}

func startTstee(tb testing.TB, args ...string) *child {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	return start(tb, path, append(args, "--address", "127.0.0.1")...)
}

func (c *child) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+c.shift) }

// dial waits for the program to listen.
func (c *child) dial(tb testing.TB, port int) net.Conn {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", c.address(port))
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%v\n%s", err, c.stderr)
		}
	}
}

// cpu is the time the process has run, from the scheduler: /proc/PID/stat
// would count in steps of 10 ms.
func (c *child) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var sum time.Duration
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.Process.Pid))
	if err != nil || len(tasks) == 0 {
		tb.Skip("this kernel has no /proc/PID/task/*/schedstat")
	}
	for _, t := range tasks {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// feed writes 25 pictures a second and sound, at 8 Mbit/s in all, until ctx
// ends. An IDR is four times the size of another picture.
func feed(ctx context.Context, w io.Writer) error {
	const rate, gop, total = 25, 25, 980_000 // bytes of pictures a second
	const small = total / (gop + 3)
	m := mpegts.NewMuxer(w, mpegts.Options{})
	noise := make([]byte, 4*small)
	for i := range noise {
		noise[i] = byte(128 + rand.IntN(128)) // no start codes
	}
	began := time.Now()
	for n, k := int64(0), int64(0); ; {
		video, audio := media.FrameTicks(n, rate), media.AACTicks(k)
		wait := time.NewTimer(time.Until(began.Add(time.Duration(media.TicksToTime(min(video, audio))))))
		select {
		case <-wait.C:
		case <-ctx.Done():
			return nil
		}
		var err error
		if video <= audio {
			err = m.WriteVideo(media.Unit{PTS: video, DTS: video, Key: n%gop == 0, Data: picture(n%gop == 0, noise, small)})
			n++
		} else {
			err = m.WriteAudio(media.Unit{Track: media.Audio, PTS: audio, DTS: audio, Data: noise[:400]})
			k++
		}
		if err != nil {
			return err
		}
	}
}

// picture has the syntax that a muxer looks at, and noise.
func picture(key bool, noise []byte, size int) []byte {
	au := []byte{0, 0, 0, 1, 9, 0xf0}
	if key {
		au = append(au, 0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x68, 0xee, 0, 0, 0, 1, 0x65)
		return append(au, noise[:4*size]...)
	}
	return append(append(au, 0, 0, 0, 1, 0x41), noise[:size]...)
}

// load is what a number of readers saw.
type load struct {
	readers, lost int
	bytes         int64
	cpu, took     time.Duration
	gap99         time.Duration // 99th percentile of all gaps between reads
	worst99       time.Duration // 99th percentile of each reader's worst gap
	worst         time.Duration
	reads         int
}

func (l load) perGB() float64 { return l.cpu.Seconds() / (float64(l.bytes) / 1e9) }

func (l load) String() string {
	return fmt.Sprintf("%d readers for %.1f s: %d lost, %.2f GB, %.3f s CPU per GB, %.1f reads/s each; gaps: 99 %% below %v, worst of 99 %% of readers %v, of all %v",
		l.readers, l.took.Seconds(), l.lost, float64(l.bytes)/1e9, l.perGB(), float64(l.reads)/float64(l.readers)/l.took.Seconds(),
		l.gap99.Round(100*time.Microsecond), l.worst99.Round(100*time.Microsecond), l.worst.Round(100*time.Microsecond))
}

// measure reads with that many connections for d, after a second to settle,
// while others connect and never read.
func measure(tb testing.TB, c *child, readers, stalled int, d time.Duration) load {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var fed sync.WaitGroup
	fed.Go(func() {
		if err := feed(ctx, c.stdin); err != nil {
			tb.Error("feed:", err)
		}
	})
	defer fed.Wait()
	defer cancel()
	for range stalled {
		defer c.dial(tb, streamPort).Close()
	}
	reads := make([]reading, readers)
	var reading sync.WaitGroup
	for i := range reads {
		reads[i].conn = c.dial(tb, streamPort)
		defer reading.Wait()
		defer reads[i].conn.Close()
		reading.Go(reads[i].run)
	}
	time.Sleep(time.Second) // the burst of joining is not what is measured
	began, cpu, bytes := time.Now(), c.cpu(tb), received(reads)
	for i := range reads {
		reads[i].count.Store(true)
	}
	time.Sleep(d)
	l := load{readers: readers, bytes: received(reads) - bytes, took: time.Since(began), cpu: c.cpu(tb) - cpu}
	for i := range reads {
		reads[i].stop()
	}
	reading.Wait()
	l.summarise(reads)
	return l
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
