package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/boxd/internal/network"
	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mac       = "b8:27:eb:00:00:07"
	aHash     = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
	imageFile = "event: videobox\nboxes:\n  - name: videobox\n"
	confFile  = `event: Conf
video: {size: 640x360, rate: 30, bitrate: 900k}
boxes:
  - {name: box7, mac: "` + mac + `"}
  - {name: box8}
rooms:
  - {name: janson, slides: box7, camera: box8, mixer: {host: m}}
`
)

var eventKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// place is a box's folders and what it asks.
type place struct {
	t     *testing.T
	o     Options
	boot  string // videobox.yaml; "" for none
	asked atomic.Int64
	host  string
}

func newPlace(t *testing.T) *place {
	root := t.TempDir()
	ready := make(chan struct{})
	close(ready)
	p := &place{t: t}
	p.o = Options{
		Run: filepath.Join(root, "run"), Perm: filepath.Join(root, "perm"), Etc: filepath.Join(root, "etc"), Sys: filepath.Join(root, "sys"),
		PermReady: ready, Clock: clock.NewHeld(1), Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Boot:      func() ([]byte, bool, error) { return []byte(p.boot), p.boot != "", nil },
		Lookup:    func(context.Context) ([]string, error) { return nil, nil },
		Addresses: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.7")} },
		Fix:       func(context.Context, string, network.Fixed) error { return nil },
		Hostname:  func(name string) error { p.host = name; return nil },
	}
	p.write("etc/event.yaml", imageFile)
	p.write("sys/eth0/address", mac)
	p.write("sys/eth0/type", "1")
	p.write("sys/eth0/device/x", "")
	return p
}

func (p *place) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(filepath.Dir(p.o.Run), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// started is a box that has read everything, asked once and written its files.
func (p *place) started() *Identity {
	p.t.Helper()
	i, err := New(p.o)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := i.findInterface(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	data, there := i.readBoot(p.t.Context())
	i.readPerm(data, there)
	i.again(p.t)
	return i
}

// again asks and writes once more.
func (i *Identity) again(t *testing.T) {
	t.Helper()
	i.ask(t.Context())
	i.lookAtAddresses()
	if err := i.write(); err != nil {
		t.Fatal(err)
	}
}

// wrote is the event file that the other programs get.
func (p *place) wrote() *event.Event {
	p.t.Helper()
	e, err := event.Load(filepath.Join(p.o.Run, "event.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// serve answers for a mixer host, which the box finds in its network.
func (p *place) serve(h http.HandlerFunc) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		h(w, r)
	}))
	p.t.Cleanup(s.Close)
	url := s.URL + "/event.yaml"
	p.o.Lookup = func(context.Context) ([]string, error) { return []string{url}, nil }
	return url
}

// viewOf is what a mixer host sends of an event.
func viewOf(t *testing.T, text string, signed bool) (data, sig []byte) {
	t.Helper()
	e, err := event.Parse("event.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e.Secrets.Box = event.BoxLogin{User: "admin", Bcrypt: aHash}
	if signed {
		e.Secrets.EventKey = eventKey
	}
	data, sig, err = e.View()
	if err != nil {
		t.Fatal(err)
	}
	return data, sig
}

func TestABoxAlone(t *testing.T) {
	p := newPlace(t)
	i := p.started()
	s := i.Status()
	if s.Name != "videobox-000007" || s.Room != "" || p.host != s.Name || s.MAC != mac || len(s.Causes) != 0 {
		t.Errorf("%+v, host name %s", s, p.host)
	}
	if e := p.wrote(); e.Boxes[0].Name != s.Name || len(e.Rooms) != 0 || e.Boxes[0].HTTPAddr != "192.0.2.7:80" {
		t.Errorf("%+v", e)
	}
	if name, _ := os.ReadFile(filepath.Join(p.o.Run, "name")); string(name) != s.Name+"\n" {
		t.Errorf("name %q", name)
	}
}

// TestViews: which view counts for a box with the event's key, and for one
// without. What is refused is said, and what was known stays.
func TestViews(t *testing.T) {
	good, sig := viewOf(t, confFile, true)
	other := ed25519.Sign(ed25519.NewKeyFromSeed(append(make([]byte, 31), 1)), good)
	unsigned, _ := viewOf(t, confFile, false)
	answer := func(data, sig []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if sig != nil {
				w.Header().Set("X-Signature-Ed25519", hex.EncodeToString(sig))
			}
			if strings.HasSuffix(r.URL.Path, ".sig") {
				http.NotFound(w, r)
				return
			}
			w.Write(data)
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		w.Write(unsigned[:len(unsigned)/2])
	}
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		withKey bool
		refused string // "" if it counts
		login   bool
	}{
		"signed, with key":         {answer(good, sig), true, "", true},
		"unsigned, with key":       {answer(unsigned, nil), true, "not signed", false},
		"wrongly signed, with key": {answer(good, other), true, "signature is not the event key's", false},
		"changed, with key":        {answer(append(good[:len(good):len(good)], "# x\n"...), sig), true, "signature is not", false},
		"unsigned, without":        {answer(unsigned, nil), false, "", false},
		"signed, without":          {answer(good, sig), false, "", false},
		"truncated":                {cut, false, "cut off", false},
		"oversized":                {answer(make([]byte, maxView+1), nil), false, "more than 256 KiB", false},
		"nonsense":                 {answer([]byte("colour: red\n"), nil), false, "event view:1", false},
		"an error":                 {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, false, "500", false},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, false, "302", false},
	} {
		p := newPlace(t)
		p.o.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if c.withKey {
			p.write("etc/event_key", base64.StdEncoding.EncodeToString(eventKey.Public().(ed25519.PublicKey))+"\n")
		}
		p.serve(c.answer)
		s := p.started().Status()
		causes := strings.Join(s.Causes, " ")
		if c.refused != "" {
			if s.Name != "videobox-000007" || !strings.Contains(causes, c.refused) {
				t.Errorf("%s: %+v, want it refused: %s", name, s, c.refused)
			}
			continue
		}
		e := p.wrote()
		if s.Name != "box7" || s.Room != "janson" || s.Role != "slides" || s.Signed != c.withKey || causes != "" || e.Video.Rate != 30 {
			t.Errorf("%s: %+v", name, s)
		}
		if got := e.Secrets.Box.Bcrypt != ""; got != c.login {
			t.Errorf("%s: believes its login: %v, want %v", name, got, c.login)
		}
	}
}

// TestWhatWasKnownStays: over a restart without a network, and while a mixer
// host talks nonsense; and a changed room is followed.
func TestWhatWasKnownStays(t *testing.T) {
	p := newPlace(t)
	var body atomic.Value
	data, _ := viewOf(t, confFile, false)
	body.Store(data)
	p.serve(func(w http.ResponseWriter, r *http.Request) {
		b := body.Load().([]byte)
		w.Header().Set("ETag", `"`+hex.EncodeToString(b[len(b)-8:])+`"`)
		if r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(b)
	})
	i := p.started()
	i.again(t)
	if s := i.Status(); s.Room != "janson" || p.asked.Load() != 2 || s.Asked.IsZero() {
		t.Errorf("asked %d times: %+v", p.asked.Load(), s)
	}
	body.Store([]byte("broken 123456"))
	i.again(t)
	if s := i.Status(); s.Room != "janson" || len(s.Causes) != 1 {
		t.Errorf("after nonsense: %+v", s)
	}
	data, _ = viewOf(t, strings.ReplaceAll(confFile, "janson", "ferrer"), false)
	body.Store(append(data, "# moved\n"...))
	i.again(t)
	if s := i.Status(); s.Room != "ferrer" || len(s.Causes) != 0 {
		t.Errorf("moved: %+v", s)
	}
	p.o.Lookup = func(context.Context) ([]string, error) { return nil, errors.New("no network") }
	if s := p.started().Status(); s.Room != "ferrer" || !strings.HasSuffix(s.Source, "view.yaml") {
		t.Errorf("after a restart: %+v", s)
	}
	// Another event, which doesn't know the box, takes nothing away.
	stranger, _ := viewOf(t, "event: Other\nboxes:\n  - name: x\nrooms:\n  - {name: r, camera: x, mixer: {host: m}}\n", false)
	p.serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(stranger) })
	if s := p.started().Status(); s.Event != "Conf" || s.Room != "ferrer" {
		t.Errorf("beside another event: %+v", s)
	}
}

func TestVideoboxYAMLCounts(t *testing.T) {
	p := newPlace(t)
	data, _ := viewOf(t, confFile, false)
	url := p.serve(func(w http.ResponseWriter, _ *http.Request) { w.Write(data) })
	p.o.Lookup = func(context.Context) ([]string, error) { return nil, nil }
	fixed := ""
	p.o.Fix = func(_ context.Context, iface string, f network.Fixed) error {
		fixed = iface + " " + f.Address.String()
		return nil
	}
	p.boot = "name: box8\nrate: 25\ncolour: red\naddress: 192.0.2.7/24\ncontrol: " + url + "\nuser: root\nbcrypt: '" + aHash + "'\n"
	s := p.started().Status()
	e := p.wrote()
	if s.Name != "box8" || s.Role != "camera" || e.Video.Rate != 25 || e.Video.Width != 640 || e.Secrets.Box.User != "root" || fixed != "eth0 192.0.2.7/24" {
		t.Errorf("%+v, video %+v, login %s, address %s", s, e.Video, e.Secrets.Box.User, fixed)
	}
	if len(s.Causes) != 1 || !strings.HasPrefix(s.Causes[0], "videobox.yaml:3: unknown key") {
		t.Errorf("causes %q", s.Causes)
	}
	p.boot = "" // an update has overwritten the boot partition
	if s := p.started().Status(); s.Name != "box8" || len(s.Causes) != 0 {
		t.Errorf("after an update: %+v", s)
	}
}

func TestAnEventFileOnTheBoxCounts(t *testing.T) {
	p := newPlace(t)
	p.write("perm/event.yaml", "event: Mine\nboxes:\n  - name: lonely\nrooms:\n  - {name: cellar, camera: lonely, mixer: {host: m}}\n")
	p.serve(func(w http.ResponseWriter, _ *http.Request) { t.Error("asked for a view") })
	if s := p.started().Status(); s.Name != "lonely" || s.Room != "cellar" || s.Event != "Mine" {
		t.Errorf("%+v", s)
	}
}

// TestRun lets a new box wait for its first view, but not for long.
func TestRun(t *testing.T) {
	p := newPlace(t)
	clk := p.o.Clock.(*clock.Held)
	i, err := New(p.o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	began := clk.Now()
	for clk.Now() < began+int64(patience) {
		if name := i.Status().Name; name != "" {
			t.Errorf("%s after %v, want none before %v", name, time.Duration(clk.Now()-began), patience)
		}
		if _, err := clk.Next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody needs to wait any longer; who asks for a view may do so meanwhile.
	for end := time.Now().Add(20 * time.Second); i.Status().Name == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no name after %v", patience)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
