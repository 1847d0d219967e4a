//go:build vm

package vm_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openvideobox/videobox/images/vm"
	"github.com/openvideobox/videobox/internal/event"
)

// conference is the event that a mixer host knows, with the box by its hardware
// address.
const conference = `event: Conference
video: {size: 320x180, rate: 10, bitrate: 400k}
audio: {rate: 48000, channels: 2, bitrate: 96k}
boxes:
  - {name: other, mac: "52:54:00:aa:bb:01"}
  - {name: hall-camera, mac: "52:54:00:aa:bb:02"}
rooms:
  - {name: ROOM, slides: other, camera: hall-camera, mixer: {host: 10.0.2.2}}
`

// mixerHost serves a view as mixer-host does, at the address by which a guest
// reaches the host's loopback.
type mixerHost struct {
	url  string // as the guest sees it
	view atomic.Pointer[[]byte]
}

func (m *mixerHost) setRoom(t *testing.T, room string) {
	t.Helper()
	e, err := event.Parse("event.yaml", []byte(strings.ReplaceAll(conference, "ROOM", room)))
	if err != nil {
		t.Fatal(err)
	}
	view, _, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	m.view.Store(&view)
}

func startMixerHost(t *testing.T) *mixerHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mixerHost{url: fmt.Sprintf("http://10.0.2.2:%d", l.Addr().(*net.TCPAddr).Port)}
	m.setRoom(t, "janson")
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/event.yaml" {
			http.NotFound(w, r)
			return
		}
		w.Write(*m.view.Load())
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-ended })
	return m
}

// identified is what boxd says about itself.
type identified struct {
	Name, Room, Role string
	Health           []struct{ Name, State, Cause string }
	Detail           struct {
		Identity struct {
			MAC, Source string
			Addresses   []string
			Causes      []string
		}
	}
}

// statusOf waits until boxd says what is wanted.
func statusOf(ctx context.Context, t *testing.T, m *vm.Machine, what string, ok func(identified) bool) (s identified) {
	t.Helper()
	began := time.Now()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	retry := time.NewTicker(300 * time.Millisecond)
	defer retry.Stop()
	for {
		if resp, err := client.Get("http://" + m.Addr(80) + "/api/status"); err == nil {
			err = json.NewDecoder(resp.Body).Decode(&s)
			resp.Body.Close()
			if err == nil && ok(s) {
				t.Logf("%s after %.1f s: %s, %s %s, %v", what, time.Since(began).Seconds(), s.Name, s.Room, s.Role, s.Detail.Identity)
				return s
			}
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			t.Fatalf("%s: never; last %+v", what, s)
		}
	}
}

// logOf reads a part of the log that the box keeps.
func logOf(ctx context.Context, t *testing.T, m *vm.Machine, file, password string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Addr(80)+"/log/"+file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:"+password)))
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestShortIdentity boots a new box that was told nothing but where the mixer
// host is, since QEMU's network has no multicast and no such name: it gets name
// and room by its hardware address, follows a change of the room, and after a
// pulled plug is what it was, though nobody is there to ask, and still has the
// log of the time before.
func TestShortIdentity(t *testing.T) {
	if err := vm.Needs(); err != nil {
		t.Fatal(err)
	}
	mixer := startMixerHost(t)
	password := "correct horse"
	cfg := vm.Config{
		Image: image, Dir: t.TempDir(), Ports: map[int]int{80: 0, 8899: 0}, MAC: "52:54:00:aa:bb:02",
		Perm: map[string]string{"capture.json": `{"preset": "ultrafast", "threads": 1}` + "\n"},
		Boot: map[string]string{"videobox.yaml": "control: " + mixer.url + "\r\ncolour: blue\r\nuser: admin\r\npassword: " + password + "\r\n"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	m, err := vm.Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		m.Stop()
		if t.Failed() {
			t.Logf("console:\n%s", m.Console.Last(40))
		}
	}()
	s := statusOf(ctx, t, m, "named", func(s identified) bool { return s.Name == "hall-camera" && s.Room == "janson" && s.Role == "camera" })
	if len(s.Detail.Identity.Causes) != 1 || !strings.Contains(s.Detail.Identity.Causes[0], `videobox.yaml:2: unknown key "colour"`) {
		t.Errorf("causes %q", s.Detail.Identity.Causes)
	}
	s = statusOf(ctx, t, m, "an IPv6 address", func(s identified) bool { return hasIPv6(s.Detail.Identity.Addresses) })
	line, err := m.Console.Wait(ctx, "videobox: hall-camera, janson camera, http://10.0.2.15/")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("console: %s", line)
	if _, err := vm.FirstByte(ctx, m, 8899); err != nil {
		t.Fatal(err)
	}
	mixer.setRoom(t, "ferrer")
	statusOf(ctx, t, m, "another room", func(s identified) bool { return s.Room == "ferrer" })
	if code, _ := logOf(ctx, t, m, "boot.txt", ""); code != http.StatusUnauthorized {
		t.Errorf("the log without the password: %d", code)
	}
	if code, body := logOf(ctx, t, m, "boot.txt", password); code != http.StatusOK || !strings.Contains(body, " boxd ") || !strings.Contains(body, " capture ") {
		t.Errorf("the log: %d %.2000s", code, body)
	}
	time.Sleep(6 * time.Second) // what is written is flushed every 5 s, and now the plug is pulled
	m.Stop()

	cfg.Perm, cfg.Boot = nil, map[string]string{"videobox.yaml": "user: admin\npassword: " + password + "\n"}
	if m, err = vm.Start(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	statusOf(ctx, t, m, "the same without the mixer", func(s identified) bool { return s.Name == "hall-camera" && s.Room == "ferrer" })
	if code, body := logOf(ctx, t, m, "previous.txt", password); code != http.StatusOK || !strings.Contains(body, "name=hall-camera") {
		t.Errorf("the log of the boot before: %d %.2000s", code, body)
	}
}

func hasIPv6(addrs []string) bool {
	for _, a := range addrs {
		if ip, err := netip.ParseAddr(a); err == nil && ip.Is6() {
			return true
		}
	}
	return false
}
