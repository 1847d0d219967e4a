package cache

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/run/runtest"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is one that does as it is told.
type origin struct {
	*httptest.Server
	mu    sync.Mutex
	list  *hls.Playlist
	lacks map[int64]bool
	fail  int                      // status to answer everything with
	hang  chan struct{}            // answers wait for it
	asked map[string]*atomic.Int32 // by path
}

func newOrigin(t *testing.T) *origin {
	o := &origin{asked: make(map[string]*atomic.Int32)}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *origin) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.asked[path]; n != nil {
		return int(n.Load())
	}
	return 0
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	if o.asked[r.URL.Path] == nil {
		o.asked[r.URL.Path] = new(atomic.Int32)
	}
	if r.Header.Get("Range") == "" {
		o.asked[r.URL.Path].Add(1)
	}
	p, lacks, fail, hang := o.list, o.lacks, o.fail, o.hang
	o.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	path, _ := hls.ParsePath(r.URL.Path)
	switch {
	case fail != 0:
		http.Error(w, "as told", fail)
	case p == nil:
		hls.Unavailable(w, "nothing")
	case path.Rendition == "":
		io.WriteString(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain/index.m3u8\n")
	case path.Segment < 0:
		hls.WritePlaylist(w, r, p.Append(nil))
	case lacks[path.Segment] || path.Segment < p.Sequence || path.Segment >= p.End():
		hls.NotFound(w, "not here")
	default:
		hls.WriteSegment(w, r, body(path.Segment), fmt.Sprintf(`"%d"`, path.Segment))
	}
}

func body(n int64) []byte { return []byte(strings.Repeat(fmt.Sprint(n), 1000)) }

// running is a cache in front of origins.
func running(t *testing.T, memory int64, origins ...*origin) (*Cache, *metrics.Reporter) {
	t.Helper()
	r := metrics.New("cache", "test")
	cfg := Config{Memory: memory, Reporter: r, Rooms: []Room{{"demo", []string{"main"}}}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for i, o := range origins {
		cfg.Origins = append(cfg.Origins, Origin{fmt.Sprint("origin", i), o.URL})
	}
	c := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	c.Start(ctx)
	t.Cleanup(func() {
		cancel()
		c.Wait()
	})
	return c, r
}

func get(c *Cache, path string) (int, string) {
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

const mediaList = "/hls/demo/main/index.m3u8"

func segment1(n int64) string { return fmt.Sprintf("/hls/demo/main/%d.ts", n) }

func lists(c *Cache, n int64) func() bool {
	return func() bool {
		_, text := get(c, mediaList)
		return strings.Contains(text, fmt.Sprintf("\n%d.ts\n", n))
	}
}

func TestServes(t *testing.T) {
	a := newOrigin(t)
	c, r := running(t, 1<<20, a)
	if code, text := get(c, mediaList); code != 503 || !strings.Contains(text, "no live stream") {
		t.Errorf("before there is input: %d %q", code, text)
	}
	a.set(func() { a.list = offered(10, "...") })
	runtest.Eventually(t, "it is listed", lists(c, 12))
	runtest.Eventually(t, "the multivariant playlist", func() bool { code, _ := get(c, "/hls/demo/index.m3u8"); return code == 200 })
	for path, want := range map[string]string{
		"/hls/other/index.m3u8":    `no room "other"`,
		"/hls/demo/480/index.m3u8": `no rendition "480"`,
		"/hls/demo/main/x.ts":      "/hls/ROOM/index.m3u8",
		segment1(999):              "is not here",
		segment1(1):                "is not here",
	} {
		if code, text := get(c, path); code != 404 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %q, want 404 %q", path, code, text, want)
		}
	}
	if n := a.count(segment1(999)) + a.count(segment1(1)); n > 0 {
		t.Error("the origin was asked for segments that it can't have")
	}
	if code, text := get(c, segment1(11)); code != 200 || text != string(body(11)) {
		t.Errorf("segment: %d, %d bytes", code, len(text))
	}
	if h, _ := r.Status().Hop("demo/main"); h.Bytes == 0 {
		t.Error("nothing is counted")
	}
}

// TestAsksOnce: however many want a segment, the origin is asked once.
func TestAsksOnce(t *testing.T) {
	a := newOrigin(t)
	a.list = offered(10, "...")
	c, _ := running(t, 1<<20, a)
	runtest.Eventually(t, "it is listed", func() bool { return c.rooms["demo"].streams[0].live() })
	wait := make(chan struct{})
	a.set(func() { a.hang = wait })
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if code, text := get(c, segment1(11)); code != 200 || text != string(body(11)) {
				t.Errorf("%d, %d bytes", code, len(text))
			}
		})
	}
	runtest.Eventually(t, "the origin is asked", func() bool { return a.count(segment1(11)) > 0 })
	close(wait)
	wg.Wait()
	// One who has looked into the memory just before it came starts a flight.
	if seg, err := c.fetchSegment(t.Context(), c.rooms["demo"].streams[0], 11); err != nil || string(seg.data) != string(body(11)) {
		t.Errorf("late: %d bytes, %v", len(seg.data), err)
	}
	if n := a.count(segment1(11)); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestMissingSegmentComesFromTheOther(t *testing.T) {
	a, b := newOrigin(t), newOrigin(t)
	a.list = offered(10, "..g.")
	b.lacks, a.lacks = map[int64]bool{10: true}, map[int64]bool{11: true, 12: true}
	c, _ := running(t, 1<<20, a, b)
	runtest.Eventually(t, "main's list", lists(c, 13))
	b.set(func() { b.list = offered(10, "....") })
	runtest.Eventually(t, "it is listed without a gap", func() bool {
		_, text := get(c, mediaList)
		return strings.Contains(text, "13.ts") && !strings.Contains(text, "GAP")
	})
	for n := int64(10); n < 14; n++ {
		if code, text := get(c, segment1(n)); code != 200 || text != string(body(n)) {
			t.Errorf("segment %d: %d, %d bytes", n, code, len(text))
		}
	}
	if a.count(segment1(13)) != 1 || b.count(segment1(13)) != 0 {
		t.Error("main must be asked first")
	}
}

// TestHungOrigin: one that accepts and never answers costs a viewer at most a
// second, and the list goes on from the other.
func TestHungOrigin(t *testing.T) {
	a, b := newOrigin(t), newOrigin(t)
	a.list, b.list = offered(10, "..."), offered(10, "...")
	c, _ := running(t, 1<<20, a, b)
	runtest.Eventually(t, "it is listed", lists(c, 12))
	wait := make(chan struct{})
	defer close(wait)
	a.set(func() { a.hang = wait })
	start := time.Now()
	if code, _ := get(c, segment1(12)); code != 200 {
		t.Errorf("segment while main hangs: %d", code)
	}
	if d := time.Since(start); d > 1500*time.Millisecond {
		t.Errorf("it took %v", d)
	}
	b.set(func() { b.list = offered(10, "....") })
	runtest.Eventually(t, "the list goes on", lists(c, 13))
	start = time.Now()
	if code, _ := get(c, segment1(13)); code != 200 || time.Since(start) >= answerTime { // as it takes to ask who hangs
		t.Errorf("the next segment: %d after %v", code, time.Since(start))
	}
}

func TestFailingOrigins(t *testing.T) {
	a, b := newOrigin(t), newOrigin(t)
	a.list, b.list = offered(10, "..."), offered(10, "...")
	c, r := running(t, 1<<20, a, b)
	runtest.Eventually(t, "it is listed", lists(c, 12))
	a.set(func() { a.fail = 500 })
	b.set(func() { b.list = offered(10, "....") })
	runtest.Eventually(t, "the list goes on", lists(c, 13))
	if h, _ := r.Status().Hop("origin0 demo/main"); h.State != metrics.Degraded || !strings.Contains(h.Cause, "500") {
		t.Errorf("main shows as %s: %q", h.State, h.Cause)
	}
	b.set(func() { b.fail = 503 })
	if code, _ := get(c, mediaList); code != 200 {
		t.Errorf("just after both are gone: %d, want the list that was", code)
	}
	a.set(func() { a.fail = 502 })
	b.set(func() { b.fail = 502 })
	runtest.Eventually(t, "the cache says that no origin answers", func() bool {
		h, _ := r.Status().Hop("demo/main")
		return h.State == metrics.Failed && h.Cause == "no origin answers"
	})
	if code, text := get(c, segment1(13)); code != 200 && code != 503 {
		t.Errorf("segment: %d %s", code, text)
	}
	a.set(func() { a.fail, a.list = 0, offered(14, ".") })
	runtest.Eventually(t, "main is back", lists(c, 14))
}

// TestNonsense: what is no playlist of ours is an error of that origin.
func TestNonsense(t *testing.T) {
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(strings.Repeat("#EXTM3U <html>\n", 100)))
	}))
	defer bad.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	good := newOrigin(t)
	good.list = offered(10, "...")
	c, r := running(t, 1<<20, &origin{Server: bad}, &origin{Server: &httptest.Server{URL: "http://" + gone.Addr().String()}}, good)
	runtest.Eventually(t, "the good one is listed", lists(c, 12))
	runtest.Eventually(t, "the others show it", func() bool {
		x, _ := r.Status().Hop("origin0 demo/main")
		y, _ := r.Status().Hop("origin1 demo/main")
		return x.State == metrics.Degraded && y.State == metrics.Degraded
	})
}

func TestStoreIsBounded(t *testing.T) {
	s := newStore(10_000)
	for n := range int64(100) {
		s.put(key{"a", "b", n}, segment{data: make([]byte, 1000)})
		s.put(key{"a", "b", n}, segment{data: make([]byte, 1000)})
		s.get(key{"a", "b", 3})
	}
	st := s.status()
	if st.Bytes > 10_000 || st.Segments != 6 || st.Evicted != 94 {
		t.Errorf("%+v", st)
	}
	if _, ok := s.get(key{"a", "b", 3}); !ok {
		t.Error("the most used one was given up")
	}
}
