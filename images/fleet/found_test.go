package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/dnssd/dnssdtest"
)

// TestStatusFindsBoxes is `fleet status` by multicast DNS: a box of which the
// event file knows only the hardware address is reached where it answers, and
// one that the file doesn't list is shown below.
func TestStatusFindsBoxes(t *testing.T) {
	if !dnssdtest.Alone(t) {
		return
	}
	f := simbox.NewFleet(1)
	t.Cleanup(f.Close)
	web := httptest.NewUnstartedServer(f.Boxes[0])
	web.Listener.Close()
	var err error
	if web.Listener, err = net.Listen("tcp", ":0"); err != nil {
		t.Fatal(err)
	}
	web.Start()
	t.Cleanup(web.Close)
	announce(t, "videobox-000001", "52:54:00:00:00:01", web.Listener.Addr().(*net.TCPAddr).Port)
	announce(t, "spare", "52:54:00:00:00:02", 80)

	config := filepath.Join(t.TempDir(), "event.yaml")
	text := `event: Conference
secrets: secrets.yaml
boxes:
  - {name: box1, mac: "52:54:00:00:00:01"}
rooms:
  - {name: janson, camera: box1, mixer: {host: mix.example}}
`
	if err := errors.Join(os.WriteFile(config, []byte(text), 0o600),
		os.WriteFile(filepath.Join(filepath.Dir(config), "secrets.yaml"), []byte(secretsWith(t, "secret")), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for range 10 { // announcing takes its time: a name is asked for three times before
		out.Reset()
		if err = (statusCmd{Config: config}).run(t.Context(), &out); err == nil && strings.Contains(out.String(), "spare") {
			break
		}
	}
	t.Logf("%v\n%s", err, out.String())
	mine, others, _ := strings.Cut(out.String(), "\nIn this network, not in the event file:\n")
	if err != nil || !strings.Contains(mine, "box1  janson  1.2 ") {
		t.Errorf("the event's box: %v\n%s", err, mine)
	}
	if strings.Count(others, "\n") != 2 || !strings.Contains(others, "\nspare  http://") || !strings.Contains(others, ":80/  52:54:00:00:00:02  1.1\n") {
		t.Errorf("the box that nobody listed:\n%s", others)
	}
}

// announce does until the test ends what boxd does.
func announce(t *testing.T, name, mac string, port int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := dnssd.Service{Type: dnssd.Box, Name: name, Host: name, Port: port, Text: map[string]string{"name": name, "mac": mac, "version": "1.1"}}
	go func() { ended <- dnssd.Announce(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("announcing ended by %v", err)
		}
	})
}
