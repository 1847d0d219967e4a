package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/simbox"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
)

var update = flag.Bool("update", false, "write golden files")

func TestMain(m *testing.M) {
	flag.Parse()
	// brutella/dnssd's readers hang on a channel once announcing has ended.
	const reader = "github.com/brutella/dnssd.(*mdnsConn).readInto."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(reader+"func2"), goleak.IgnoreAnyFunction(reader+"func3"))
}

// golden compares with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// conference is an event file with a fleet's boxes, two a room, and a bundle
// beside it. The update key is the fleet's.
func conference(t *testing.T, f *simbox.Fleet, secrets string) (config, vbox string) {
	t.Helper()
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("event: Conference\nsecrets: secrets.yaml\nboxes:\n")
	for i, b := range f.Boxes {
		_, port, _ := net.SplitHostPort(f.Addr(i))
		fmt.Fprintf(&text, "  - {name: %s, address: 127.0.0.1, mac: \"52:54:00:00:00:%02x\", ports: {http: %s, stream: %d, status: %d}}\n", b.Name, i, port, 20000+2*i, 30000+10*i)
	}
	text.WriteString("rooms:\n")
	for i := 0; i+1 < len(f.Boxes); i += 2 {
		fmt.Fprintf(&text, "  - {name: room%d, camera: box%d, slides: box%d, mixer: {host: mix%d.example}}\n", i/2+1, i+1, i+2, i/2+1)
	}
	var data bytes.Buffer
	if err := simbox.WriteBundle(&data, simbox.Key, 5<<19); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"event.yaml": text.String(), "secrets.yaml": secrets, "new.vbox": data.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "event.yaml"), filepath.Join(dir, "new.vbox")
}

// secretsWith is a secrets file for boxes with that password.
func secretsWith(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("box: {user: admin, bcrypt: '%s', password: %s}\nupdate_key: %s\n", hash, password,
		base64.StdEncoding.EncodeToString(simbox.Key.Public().(ed25519.PublicKey)))
}

func nobody(context.Context) []dnssd.Found { return nil }

// runUpdate runs the command for a fleet, and gives what it printed.
func runUpdate(t *testing.T, f *simbox.Fleet, c updateCmd) (text string, err error) {
	t.Helper()
	var out bytes.Buffer
	s := &show{out: &out, now: func() time.Time { return time.Unix(0, 0) }}
	f.During(t.Context(), func(ctx context.Context) { err = c.run(ctx, s, f.Held, nobody) })
	return out.String(), err
}

// TestUpdateCommand has twenty boxes of which one is in a talk and one of
// another board, and then the same command again when the talk is over.
func TestUpdateCommand(t *testing.T) {
	f := simbox.NewFleet(20)
	t.Cleanup(f.Close)
	config, vbox := conference(t, f, secretsWith(t, "secret"))
	f.Boxes[3].SetTalk("Opening, until 10:30")
	f.Boxes[19].Set(func(_ *simbox.Faults, r *box.Running) { r.Board = "videobox-pc" })
	f.Fault(4, func(b *simbox.Faults) { b.Note = "the schedule is not known:\x1b[2J no route" })
	c := updateCmd{Config: config, Bundle: vbox, Parallel: 5}
	text, err := runUpdate(t, f, c)
	if err == nil || err.Error() != "1 of 20 boxes doesn't have it yet; run this again for it" {
		t.Errorf("error %v", err)
	}
	_, tail, _ := strings.Cut(text, "\n\nBOX")
	golden(t, "update.txt", "BOX"+tail)
	for _, line := range []string{"box1: sending   0 % of 3 MB (canary)\n", "box1: on trial (canary)\n", "box1: updated, 1.2 → 1.3, stream away for 8.1 s (canary)\n", "box4: in use: a talk in its room: Opening, until 10:30\n",
		"box5: waiting; the schedule is not known:[2J no route\n", "box5: on trial\n"} {
		if strings.Count(text, line) != 1 {
			t.Errorf("not one line %q in:\n%s", line, text)
		}
	}
	f.Boxes[3].SetTalk("")
	text, err = runUpdate(t, f, c)
	if err != nil || !strings.HasSuffix(text, "\n1 updated, 18 has it already, 1 another board\n") {
		t.Errorf("again: %v\n%s", err, text)
	}
}

// TestFailureIsTold wants the failure's reason in the table, and an error.
func TestFailureIsTold(t *testing.T) {
	f := simbox.NewFleet(4)
	t.Cleanup(f.Close)
	config, vbox := conference(t, f, secretsWith(t, "secret"))
	f.Fault(0, func(b *simbox.Faults) { b.TrialFails = "capture\x1b[2J does not stream" })
	text, err := runUpdate(t, f, updateCmd{Config: config, Bundle: vbox, Parallel: 5, Skip: []string{"box4"}})
	if err == nil || !strings.HasPrefix(err.Error(), "stopped by a failure") {
		t.Errorf("error %v", err)
	}
	_, tail, _ := strings.Cut(text, "\n\nBOX")
	golden(t, "failed.txt", "BOX"+tail)
}

// TestInterrupted presses Ctrl-C when the canary is on trial: nobody has failed,
// and what goes on is told.
func TestInterrupted(t *testing.T) {
	f := simbox.NewFleet(3)
	t.Cleanup(f.Close)
	config, vbox := conference(t, f, secretsWith(t, "secret"))
	f.Fault(0, func(b *simbox.Faults) { b.Hangs = true })
	ctx, cancel := context.WithCancel(t.Context())
	out := &until{text: "on trial", then: cancel}
	var err error
	f.During(ctx, func(ctx context.Context) {
		err = updateCmd{Config: config, Bundle: vbox, Parallel: 1}.run(ctx, &show{out: out, now: time.Now}, f.Held, nobody)
	})
	if err == nil || !strings.HasPrefix(err.Error(), "interrupted; 1 box is on trial") {
		t.Errorf("error %v", err)
	}
	_, tail, _ := strings.Cut(out.String(), "\n\nBOX")
	golden(t, "interrupted.txt", "BOX"+tail)
}

// until does something when a text has been written.
type until struct {
	bytes.Buffer
	text string
	then func()
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Buffer.Write(b)
	if strings.Contains(u.String(), u.text) {
		u.then()
	}
	return n, err
}

// TestMistakes wants each said before any box is asked.
func TestMistakes(t *testing.T) {
	f := simbox.NewFleet(2)
	t.Cleanup(f.Close)
	good := secretsWith(t, "secret")
	user, _, _ := strings.Cut(good, ", password")
	for name, c := range map[string]struct {
		secrets string
		change  func(*updateCmd)
		want    string
	}{
		"no credentials":        {"publish_key: x\n", nil, "no credentials of the boxes"},
		"no password":           {user + "}\n", nil, "password is not known here"},
		"another password":      {good, func(c *updateCmd) { c.Password = "other" }, "doesn't fit box.bcrypt"},
		"no such box":           {good, func(c *updateCmd) { c.Only = []string{"box9"} }, `no box "box9"`},
		"no box left":           {good, func(c *updateCmd) { c.Skip = []string{"box1", "box2"} }, "no box is left"},
		"a canary left out":     {good, func(c *updateCmd) { c.Canary, c.Skip = "box1", []string{"box1"} }, `canary "box1"`},
		"no bundle":             {good, func(c *updateCmd) { c.Bundle += ".none" }, "make bundle makes one"},
		"signed by another key": {user + "}\nupdate_key: " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n", func(c *updateCmd) { c.Password = "secret" }, "signature"},
		"a damaged bundle": {good, func(c *updateCmd) {
			data, _ := os.ReadFile(c.Bundle)
			data[len(data)-5] ^= 1
			_ = os.WriteFile(c.Bundle, data, 0o600)
		}, "damaged"},
		"a byte too much": {good, func(c *updateCmd) {
			size, _ := os.Stat(c.Bundle)
			_ = os.Truncate(c.Bundle, size.Size()+1)
		}, "more than the bundle's manifest"},
		"damaged, and no update key": {user + ", password: secret}\n", func(c *updateCmd) {
			data, _ := os.ReadFile(c.Bundle)
			data[len(data)-5] ^= 1
			_ = os.WriteFile(c.Bundle, data, 0o600)
		}, "damaged"},
		"a truncated bundle": {good, func(c *updateCmd) { _ = os.Truncate(c.Bundle, 1<<20) }, "too early"},
	} {
		t.Run(name, func(t *testing.T) {
			config, vbox := conference(t, f, c.secrets)
			cmd := updateCmd{Config: config, Bundle: vbox, Parallel: 1}
			if c.change != nil {
				c.change(&cmd)
			}
			if text, err := runUpdate(t, f, cmd); err == nil || !strings.Contains(err.Error(), c.want) || text != "" {
				t.Errorf("%q, error %v; want %q", text, err, c.want)
			}
		})
	}
	for _, b := range f.Boxes {
		if puts, starts := b.Touched(); puts+starts != 0 {
			t.Errorf("%s was touched", b.Name)
		}
	}
}

// TestTerminal draws on one: what goes on is drawn over, what is done stays.
func TestTerminal(t *testing.T) {
	f := simbox.NewFleet(3)
	t.Cleanup(f.Close)
	config, vbox := conference(t, f, secretsWith(t, "secret"))
	var out bytes.Buffer
	f.Fault(1, func(b *simbox.Faults) { b.Note = "the schedule is not known" })
	s := &show{out: &out, terminal: true, width: 40, now: func() time.Time { return time.Unix(0, f.Held.Now()) }}
	f.During(t.Context(), func(ctx context.Context) {
		if err := (updateCmd{Config: config, Bundle: vbox, Parallel: 1}).run(ctx, s, f.Held, nobody); err != nil {
			t.Error(err)
		}
	})
	screen := strings.Join(render(out.String()), "\n")
	want := []string{"box2: waiting; the schedule is not known", "box1: updated, 1.2 → 1.3, stream away for 8.1 s (canary)", "box2: updated, 1.2 → 1.3, stream away for 8.1 s", "box3: updated", "BOX "}
	at := 0
	for _, w := range want {
		i := strings.Index(screen[at:], w)
		if i < 0 {
			t.Fatalf("no %q after byte %d of\n%s", w, at, screen)
		}
		at += i
	}
	if strings.Contains(screen, "sending") || strings.Contains(screen, "boxes done") {
		t.Errorf("something of the progress stayed:\n%s", screen)
	}
	if !strings.Contains(out.String(), "sending") || !strings.Contains(out.String(), "on trial for 4 s (canary)") || !strings.Contains(out.String(), "1 of 3 boxes done") {
		t.Error("no progress was drawn")
	}
}

// render is what a terminal shows after these bytes: it knows up and "erase to
// the end", as show uses them.
func render(text string) (lines []string) {
	lines = []string{""}
	for len(text) > 0 {
		var up int
		switch {
		case strings.HasPrefix(text, "\x1b[J"):
			lines[len(lines)-1], text = "", text[3:]
		case strings.HasPrefix(text, "\x1b["):
			_, _ = fmt.Sscanf(text, "\x1b[%dA", &up)
			lines = lines[:len(lines)-up] // erased at once; show always does
			text = text[strings.IndexByte(text, 'A')+1:]
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			lines, text = append(lines, ""), text[1:]
		default:
			lines[len(lines)-1] += text[:1]
			text = text[1:]
		}
	}
	return lines
}

// TestLocalNames gives a box at NAME.local the address at which it answered, by
// its hardware address, and leaves one with an address in the file alone.
func TestLocalNames(t *testing.T) {
	e, err := event.Parse("event.yaml", []byte(`event: C
boxes:
  - {name: one, mac: "52:54:00:00:00:01"}
  - {name: two, address: 192.0.2.2}
  - {name: three}
rooms:
  - {name: r, camera: one, mixer: {host: mix.example}}
`))
	if err != nil {
		t.Fatal(err)
	}
	found := []dnssd.Found{
		{Name: "videobox-000001", Addr: netip.MustParseAddrPort("192.0.2.11:80"), Text: map[string]string{"mac": "52:54:00:00:00:01", "name": "videobox-000001"}},
		{Name: "two", Addr: netip.MustParseAddrPort("192.0.2.12:80"), Text: map[string]string{"name": "two"}},
		{Name: "three", Addr: netip.MustParseAddrPort("192.0.2.13:80"), Text: map[string]string{"mac": "52:54:00:00:00:03", "name": "three"}},
		{Name: "four", Addr: netip.MustParseAddrPort("192.0.2.14:80"), Text: map[string]string{"mac": "52:54:00:00:00:04", "name": "four"}},
	}
	list, err := targets(e, nil, nil, event.BoxLogin{})
	if err != nil {
		t.Fatal(err)
	}
	findLocal(e, list, found)
	for i, want := range []string{"192.0.2.11:80", "192.0.2.2:80", "192.0.2.13:80"} {
		if list[i].Box.Addr != want {
			t.Errorf("%s at %s, want %s", list[i].Name, list[i].Box.Addr, want)
		}
	}
	if s := strangers(e, found); len(s) != 1 || s[0].Name != "four" {
		t.Errorf("strangers %v", s)
	}
}
