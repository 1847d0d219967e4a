package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/metrics"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/internal/program"
	"github.com/openvideobox/videobox/mixer-host/internal/encode"
	"github.com/openvideobox/videobox/mixer-host/internal/engine"
	"github.com/openvideobox/videobox/mixer-host/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const eventText = `
event: Test
video: {size: 320x180, rate: 25, bitrate: 500k}
multicast: {interface: lo, ttl: 0}
boxes:
  - {name: box1, mac: "02:00:00:00:00:01", address: 127.0.0.1}
rooms:
  - name: demo
    camera: box1
    slides: tcp://127.0.0.1:9
    mixer: {host: 127.0.0.1, engine: native}
    scene: {mode: side_by_side_preview, a: slides, b: camera}
    output: {multicast: "239.255.42.1:5004", tcp: 28899}
`

// still is a source with one picture, in front of a tone of 1 kHz.
type still struct {
	role  string
	frame source.Frame
	gone  bool
}

func (s *still) Role() string    { return s.role }
func (s *still) Name() string    { return s.role + " box1" }
func (s *still) Address() string { return "tcp://192.0.2.1:8899" }

func (s *still) Stats() source.Stats { return source.Stats{Restarts: 3} }

func (s *still) State() source.State {
	if s.gone {
		return source.State{Phase: source.Connecting, Cause: "no connection to 192.0.2.1:8899, retrying"}
	}
	return source.State{Phase: source.Decoding, Decoded: time.Now()}
}

func (s *still) Frame(t int64) *source.Frame {
	if s.gone {
		return nil
	}
	s.frame.Program = t
	return &s.frame
}

func (s *still) Sound(pos int64, dst []int16) bool {
	for i := range dst {
		dst[i] = int16(4000 * (1 - 2*((pos+int64(i/2))/24%2)))
	}
	return !s.gone
}

type nothing struct{}

func (nothing) Video(*media.Frame, engine.Meta) bool { return true }
func (nothing) Audio(int64, []int16)                 {}

// testRoom runs a mixer whose slides are gone.
func testRoom(t testing.TB, users ...event.User) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "event.yaml")
	if err := os.WriteFile(path, []byte(eventText), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := event.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	e.Secrets.Users = users
	cam := &still{role: "camera", frame: source.Frame{Frame: *media.NewFrame(320, 180), Flags: h264.Live, Change: 1}}
	picture.Fill(&cam.frame.Frame, 180, 90, 160)
	mix, err := engine.New(engine.Options{
		Room: "demo", Width: 320, Height: 180, Rate: 25, Sink: nothing{},
		Sources: []engine.Source{cam, &still{role: "slides", gone: true}},
		Scene:   engine.Scene{Mode: engine.SideBySidePreview, A: "slides", B: "camera"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- mix.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	room, err := e.Room("demo")
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{
		Event: e, Room: room, Engine: mix, Reporter: metrics.New("mixer-host", "demo"),
		Outputs: func() []encode.Output { return []encode.Output{{Name: "demo", Stream: program.Stats{Frames: 1}}} },
		Load:    func() float64 { return 0.25 }, Delay: 240 * time.Millisecond,
	})
}

// request is one to the handler, from an address and with a host.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:8000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func TestAPI(t *testing.T) {
	h := testRoom(t).Handler()
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", "/api/scene", "", 200, `{"mode":"side_by_side_preview","a":"slides","b":"camera"}`},
		{"POST", "/api/scene", `{"mode":"fullscreen"}`, 200, `{"mode":"fullscreen","a":"slides","b":"camera"}`},
		{"POST", "/api/scene", `{"a":"camera"}`, 200, `{"mode":"fullscreen","a":"camera","b":"slides"}`},
		{"POST", "/api/scene", `{"mode":"cinema"}`, 400, `mode \"cinema\"; use one of fullscreen, side_by_side_equal`},
		{"POST", "/api/scene", `{"a":"laptop"}`, 400, `this room has camera, slides`},
		{"POST", "/api/scene", `{"moed":"fullscreen"}`, 400, `unknown field \"moed\"`},
		{"POST", "/api/scene", `{`, 400, `body: unexpected EOF`},
		{"POST", "/api/scene", `{} {}`, 400, `more than one value`},
		{"POST", "/api/scene", `{"mode":"` + strings.Repeat("x", maxBody) + `"}`, 400, `too large`},
		{"DELETE", "/api/scene", "", 405, ""},
		{"GET", "/api/volume", "", 200, `"camera":{"volume":1,"mute":false}`},
		{"POST", "/api/volume", `{"source":"camera","volume":0.5}`, 200, `"camera":{"volume":0.5,"mute":false}`},
		{"POST", "/api/volume", `{"source":"camera","mute":true}`, 200, `"camera":{"volume":0.5,"mute":true}`},
		{"POST", "/api/volume", `{"source":"camera","volume":9}`, 400, `volume 9; from 0 to 4`},
		{"POST", "/api/volume", `{"source":"camera"}`, 400, `nothing to change`},
		{"POST", "/api/volume", `{"volume":1}`, 400, `source \"\"; this room has camera, slides`},
		{"GET", "/still/laptop.jpg", "", 404, `no picture \"laptop.jpg\"`},
		{"GET", "/still/mix", "", 404, `no picture`},
		{"GET", "/", "", 200, `<title>Mixer</title>`},
		{"GET", "/page.js", "", 200, `EventSource`},
		{"GET", "/nothing", "", 404, ""},
		{"GET", "/licenses", "", 200, "x264"},
		{"GET", "/metrics", "", 200, "videobox_"},
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/api/event", "", 200, "box1"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(c.method, c.path, c.body))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s %.40s: %d %.200s, want %d %s", c.method, c.path, c.body, w.Code, w.Body, c.code, c.want)
		}
	}
}

func TestWithoutUsersOnlyThisMachineChanges(t *testing.T) {
	h := testRoom(t).Handler()
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   int
	}{
		"here":                {func(*http.Request) {}, 200},
		"IPv6":                {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5000", "localhost:8000" }, 200},
		"elsewhere":           {func(r *http.Request) { r.RemoteAddr = "192.0.2.7:5000" }, 403},
		"another name for us": {func(r *http.Request) { r.Host = "evil.example:8000" }, 403},
		"another page":        {func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		"our page":            {func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:8000") }, 200},
		"a form":              {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
	} {
		r := request("POST", "/api/scene", `{"mode":"fullscreen"}`)
		c.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.code)
		}
		if name == "elsewhere" && !strings.Contains(w.Body.String(), "htpasswd -nB") {
			t.Errorf("no word on how to get in: %s", w.Body)
		}
	}
}

func TestUsersLogIn(t *testing.T) {
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	h := testRoom(t,
		event.User{Name: "director", Bcrypt: hash("secret"), Rooms: []string{"*"}},
		event.User{Name: "other", Bcrypt: hash("other"), Rooms: []string{"elsewhere"}},
	).Handler()
	for _, c := range []struct {
		user, password string
		code           int
	}{
		{"", "", 401}, {"director", "wrong", 401}, {"nobody", "secret", 401},
		{"director", "secret", 200}, {"director", "secret", 200}, {"director", "wrong", 401}, {"other", "other", 403},
	} {
		r := request("POST", "/api/scene", `{"mode":"fullscreen"}`)
		r.RemoteAddr = "192.0.2.7:5000"
		if c.user != "" {
			r.SetBasicAuth(c.user, c.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code || c.code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s:%s: %d %s, want %d", c.user, c.password, w.Code, w.Body, c.code)
		}
	}
	w := httptest.NewRecorder()
	r := request("GET", "/api/status", "")
	r.RemoteAddr = "192.0.2.7:5000"
	if h.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("reading needs a login: %d", w.Code)
	}
}

func TestStillsAndStatus(t *testing.T) {
	h := testRoom(t).Handler()
	for name, luma := range map[string]uint8{"camera": 180, "mix": 0, "slides": 0} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request("GET", "/still/"+name+".jpg", ""))
		img, err := jpeg.Decode(bytes.NewReader(w.Body.Bytes()))
		if err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 180 {
			t.Fatalf("%s: %d, %v", name, w.Code, err)
		}
		r, g, b, _ := img.At(100, 100).RGBA()
		if l := uint8((2*r + 7*g + b) / 10 >> 8); luma > 0 && (l < luma-15 || l > luma+25) {
			t.Errorf("%s has luma %d, want %d", name, l, luma)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request("GET", "/api/status", ""))
	var s struct {
		metrics.Status
		Detail state `json:"detail"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	d := s.Detail
	if s.Program != "mixer-host" || d.Room != "demo" || len(d.Sources) != 2 || d.Sources[1].Cause == "" || d.Sources[0].AgeMS < 0 || d.Sources[0].Restarts != 3 || d.Load != 0.25 {
		t.Errorf("status %s", w.Body)
	}
}

// TestPagesStayInSync changes the scene and reads what another page hears.
func TestPagesStayInSync(t *testing.T) {
	server := httptest.NewServer(testRoom(t).Handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if s := nextState(t, lines); s.Scene.Mode != engine.SideBySidePreview {
		t.Fatalf("first %+v", s.Scene)
	}
	post, err := server.Client().Post(server.URL+"/api/scene", "application/json", strings.NewReader(`{"mode":"picture_in_picture"}`))
	if err != nil {
		t.Fatal(err)
	}
	post.Body.Close()
	for nextState(t, lines).Scene.Mode != engine.PictureInPicture {
	}
	loud := false
	for !loud && lines.Scan() {
		var l map[string]engine.Levels
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &l) == nil {
			loud = l["camera"].Momentary > -30 && l["mix"].Peak > -30
		}
	}
	if !loud {
		t.Error("no levels are heard")
	}
}

func nextState(t *testing.T, lines *bufio.Scanner) (s state) {
	t.Helper()
	for lines.Scan() {
		if lines.Text() != "event: state" {
			continue
		}
		lines.Scan()
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Fatal(errors.Join(errors.New("the events end"), lines.Err()))
	return s
}
