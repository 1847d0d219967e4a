package restart

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a box in a test: its clock is its uptime.
type machine struct {
	*Box
	up      time.Duration
	reboots int
}

func newMachine(t interface{ Fatal(...any) }, dir string) *machine {
	if err := os.MkdirAll(filepath.Join(dir, "proc/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "proc/1/exe"))
	if err := os.Symlink("/gokrazy/init", filepath.Join(dir, "proc/1/exe")); err != nil {
		t.Fatal(err)
	}
	m := &machine{}
	m.Box = &Box{
		file: filepath.Join(dir, "perm/videobox/restarts.json"), trial: filepath.Join(dir, "trial"), root: dir,
		uptime: func() (time.Duration, error) { return m.up, nil },
		reboot: func() error { m.reboots++; m.up = 0; return nil },
	}
	return m
}

func TestEachRestartWaitsLonger(t *testing.T) {
	m := newMachine(t, t.TempDir())
	var waits []time.Duration
	for range 7 {
		at, before := m.up, m.reboots
		for m.reboots == before {
			at = m.up
			if err := m.Do("guard", "boxd hangs"); err != nil && !errors.Is(err, ErrNotNow) {
				t.Fatal(err)
			}
			m.up += time.Minute
		}
		m.up = 0
		waits = append(waits, at)
	}
	want := []time.Duration{0, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour}
	for i := range want {
		if waits[i] != want[i] {
			t.Fatalf("uptimes at restarts: %v, want %v", waits, want)
		}
	}
	// One that stays up for long enough has been helped.
	m.up = 4*time.Hour + 31*time.Minute
	if err := m.Do("guard", "boxd hangs"); err != nil {
		t.Fatal(err)
	}
	if got := m.recall(); got.InARow != 1 || got.By != "guard" || got.Why != "boxd hangs" || got.Uptime != "4h31m0s" {
		t.Errorf("%+v", got)
	}
}

func TestWhatForbidsARestart(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(m *machine)
		up   time.Duration
		want string // "": it restarts
	}{
		{"nothing", func(*machine) {}, 0, ""},
		{"another host", func(m *machine) { os.Remove(filepath.Join(m.root, "proc/1/exe")) }, time.Hour, "no videobox image"},
		{"a trial", func(m *machine) { os.WriteFile(m.trial, nil, 0o644) }, time.Hour, "on trial"},
		{"no /perm, just up", func(m *machine) { m.file = "/dev/null/x" }, time.Minute, "30m0s"},
		{"no /perm, up for long", func(m *machine) { m.file = "/dev/null/x" }, 31 * time.Minute, ""},
		{"garbage in the memory", func(m *machine) { garbage(m, "\x00{") }, time.Minute, "1 in a row"},
		{"a negative count", func(m *machine) { garbage(m, `{"in_a_row":-5}`) }, time.Minute, "1 in a row"},
		{"a huge count", func(m *machine) { garbage(m, `{"in_a_row":1000000}`) }, 3 * time.Hour, "4h0m0s"},
	} {
		m := newMachine(t, t.TempDir())
		m.up = c.up
		c.set(m)
		err := m.Do("boxd", "a test")
		if c.want == "" && (err != nil || m.reboots != 1) || c.want != "" && (m.reboots != 0 || !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %d restarts, %v; want %q", c.name, m.reboots, err, c.want)
		}
	}
}

func garbage(m *machine, text string) {
	os.MkdirAll(filepath.Dir(m.file), 0o755)
	os.WriteFile(m.file, []byte(text), 0o644)
}

// However two programs ask, whenever people pull the plug and whatever happens
// to the memory, two restarts are never less than half an hour apart.
func TestNeverOftener(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "restart")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := newMachine(t, dir)
		now, last := time.Duration(0), -time.Hour
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			d := time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute
			now, m.up = now+d, m.up+d
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				m.up = 0 // power lost
			case 1:
				garbage(m, "\xff")
			default:
				before := m.reboots
				m.Do("boxd", "")
				if m.reboots == before {
					continue
				}
				if now-last < shortest {
					t.Fatalf("restarts %v apart", now-last)
				}
				last = now
			}
		}
	})
}

func TestThisHostIsLeftAlone(t *testing.T) {
	if IsBox("/") {
		t.Skip("this is a box")
	}
	if err := System().Do("a test", "a test"); !errors.Is(err, ErrNotNow) {
		t.Errorf("it would have restarted this host: %v", err)
	}
	if up, err := uptime(); err != nil || up <= 0 {
		t.Errorf("uptime %v, %v", up, err)
	}
}
