package slot

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openvideobox/videobox/appliance/internal/slot/slottest"
	"github.com/openvideobox/videobox/internal/fat"
)

const (
	uuidLine = "console=tty1 root=PARTUUID=60c24cc1-f3f9-427a-8199-2325cd850001/PARTNROFF=1 init=/gokrazy/init ro gpt"
	padding  = "                                                                "
)

func TestRootIn(t *testing.T) {
	for line, want := range map[string]int{
		uuidLine: 2,
		strings.Replace(uuidLine, "PARTNROFF=1", "PARTNROFF=2", 1): 3,
		"ro root=/dev/mmcblk0p3":                                   3,
		"root=PARTUUID=2e18c40c-03 rootwait":                       3,
		"root=/dev/mmcblk0p4":                                      0,
		"root=/dev/mmcblk0p25":                                     0,
		"noroot=/dev/sda2x":                                        0,
		"":                                                         0,
		"root=PARTUUID=60c24cc1-f3f9/PARTNROFF=3 ":                 0,
	} {
		if n, err := rootIn([]byte(line)); n != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", line, n, err, want)
		}
	}
}

// sysfs is a disk with partitions, as /sys shows one.
func sysfs(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mmcblk0")
	for i, name := range parts {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "partition"), []byte{byte('1' + i), '\n'}, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCard(t *testing.T) {
	dir := sysfs(t, "mmcblk0p1", "mmcblk0p2", "mmcblk0p3", "mmcblk0p4")
	c, err := card(filepath.Join(dir, "mmcblk0p3"), []byte(uuidLine))
	if err != nil {
		t.Fatal(err)
	}
	if c.Boot != "/dev/mmcblk0p1" || c.Root[2] != "/dev/mmcblk0p2" || c.Running != 3 || c.Other() != 2 || !c.OnTrial() {
		t.Errorf("%+v", c)
	}
	if c, err = card(filepath.Join(dir, "mmcblk0p2"), []byte(uuidLine)); err != nil || c.OnTrial() {
		t.Errorf("a plain start: %+v, %v", c, err)
	}
	for _, name := range []string{"mmcblk0p1", "mmcblk0p4", "none", ""} {
		if c, err := card(filepath.Join(dir, name), []byte(uuidLine)); err == nil {
			t.Errorf("root on %q: %+v", name, c)
		}
	}
	if c, err := find("/"); err == nil {
		t.Logf("this host is no box, and yet: %+v", c)
	}
}

// bootPartition is a card with the FAT of a box in a file.
func bootPartition(t *testing.T, files map[string]string) Card {
	t.Helper()
	return Card{Boot: slottest.Boot(t, files), Root: map[int]string{2: "two", 3: "three"}, Running: 2, Told: 2}
}

func (c Card) text(t *testing.T, name string) string {
	t.Helper()
	data, err := c.ReadBoot(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// asInit does what gokrazy's init does with a trial's word: what comes out is
// three bytes shorter and leaves the file's last three as they were.
func (c Card) asInit(t *testing.T) bool {
	t.Helper()
	data, err := os.ReadFile(c.Boot)
	if err != nil {
		t.Fatal(err)
	}
	file, err := fat.Find(bytes.NewReader(data), cmdlineFile)
	if err != nil {
		t.Fatal(err)
	}
	from, err := file.Offset()
	if err != nil {
		t.Fatal(err)
	}
	line := data[from : from+file.Size]
	if !bytes.Contains(line, []byte(tryWord)) {
		return false
	}
	copy(line, bytes.ReplaceAll(line, []byte(tryWord), []byte(triedWord)))
	if err := os.WriteFile(c.Boot, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestUpdates(t *testing.T) {
	const head = "title gokrazy\nlinux /vmlinuz\noptions "
	c := bootPartition(t, map[string]string{cmdlineFile: uuidLine + padding, loaderFile: head + uuidLine + padding + "\n"})
	first := c.text(t, cmdlineFile)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// Ten trials that fall back, and ten that are committed, use up no room.
	for i := range 20 {
		must(c.Try())
		if text := c.text(t, cmdlineFile); strings.Count(text, tryWord) != 1 || len(text) != len(first) {
			t.Fatalf("trial %d: %q", i, text)
		}
		must(c.Try()) // again, after a power cut
		if !c.asInit(t) {
			t.Fatal("init doesn't see the trial")
		}
		trial := c
		trial.Running = c.Other()
		if un, err := trial.Uncommitted(); !un || err != nil {
			t.Fatalf("in trial %d: %v, %v", i, un, err)
		}
		if i%2 == 0 {
			continue
		}
		must(trial.Commit())
		if un, err := trial.Uncommitted(); un || err != nil {
			t.Fatalf("after commit %d: %v, %v", i, un, err)
		}
		if c.asInit(t) {
			t.Fatal("a trial is left")
		}
		if err := c.Try(); err == nil {
			t.Fatal("a trial while another root is to be started")
		}
		c.Running, c.Told = trial.Running, trial.Running
	}
	if text := c.text(t, cmdlineFile); text != first { // ten commits: back where it began
		t.Errorf("%q, want %q", text, first)
	}
	if text := c.text(t, loaderFile); text != head+first+"\n" {
		t.Errorf("%q", text)
	}
	must(c.Switch(3))
	if text := c.text(t, loaderFile); !strings.Contains(text, "PARTNROFF=2") || !strings.HasPrefix(text, head) || !strings.HasSuffix(text, " \n") {
		t.Errorf("for systemd-boot: %q", text)
	}
	must(c.Settle())
}

func TestRefusals(t *testing.T) {
	full := bootPartition(t, map[string]string{cmdlineFile: uuidLine + "          "})
	if err := full.Try(); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a full line: %v", err)
	}
	if err := full.Switch(3); err != nil { // needs none, and no file of systemd-boot
		t.Error(err)
	}
	if err := full.Switch(4); err == nil {
		t.Error("a root that isn't there")
	}
	strange := bootPartition(t, map[string]string{cmdlineFile: "root=/dev/nfs" + padding})
	if err := strange.Try(); err == nil {
		t.Error("a command line without a root")
	}
	if err := strange.Commit(); err == nil {
		t.Error("committed without a root")
	}
	if err := strange.took(3, nil); err == nil || err.Error() != "the boot partition was told partition 2: it names partition 3" {
		t.Errorf("a boot partition that doesn't keep what it was told: %v", err)
	}
	if err := errors.Join(strange.took(2, nil), strange.took(0, os.ErrClosed)); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	gone := Card{Boot: filepath.Join(t.TempDir(), "none"), Root: map[int]string{2: "a", 3: "b"}, Running: 3, Told: 2}
	if _, err := gone.Uncommitted(); err == nil {
		t.Error("a card that can't be read")
	}
}

// TestMend has a power cut keep one of the two sectors of a Switch, either one,
// and the box start as it then does: a PC with UEFI goes by the loader's file,
// everything else by the other. It must be able to try an update again.
func TestMend(t *testing.T) {
	two, three := uuidLine+padding, strings.Replace(uuidLine, "PARTNROFF=1", "PARTNROFF=2", 1)+padding
	tried := strings.Replace(two, padding, " "+triedWord+padding[len(triedWord)+1:], 1)
	for name, tt := range map[string]struct {
		loader, cmdline string // "" for no file
		running, told   int
		mended          bool
	}{
		"as it should be":                {two, two, 2, 2, false},
		"no UEFI":                        {"", three, 3, 3, false},
		"only the loader's file":         {three, tried, 3, 3, true},
		"only the command line":          {two, three, 2, 2, true},
		"a BIOS and the loader's file":   {three, two, 2, 2, true},
		"a BIOS and the command line":    {two, three, 3, 3, true},
		"both, and a restart waits":      {three, three, 2, 2, true}, // the caller's to know
		"a trial, which may yet go back": {two, tried, 3, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{cmdlineFile: tt.cmdline}
			if tt.loader != "" {
				files[loaderFile] = "title gokrazy\noptions " + tt.loader + "\n"
			}
			c := bootPartition(t, files)
			c.Running, c.Told = tt.running, tt.told
			was := c.text(t, cmdlineFile)
			if mended, err := c.Mend(); mended != tt.mended || err != nil {
				t.Errorf("mended %v, %v; want %v", mended, err, tt.mended)
			}
			if !tt.mended {
				if now := c.text(t, cmdlineFile); now != was {
					t.Errorf("%q was %q", now, was)
				}
				return
			}
			named, err := c.named()
			if err != nil || len(named) != 2 || named[0] != c.Running || named[1] != c.Running {
				t.Errorf("root %d runs, named are %v, %v", c.Running, named, err)
			}
			if err := c.Try(); err != nil {
				t.Errorf("the next update: %v", err)
			}
		})
	}
	if _, err := bootPartition(t, map[string]string{cmdlineFile: "root=/dev/nfs"}).Mend(); err == nil {
		t.Error("a command line without a root")
	}
}

// TestTryThatFails: a card that does not flush may hold the word all the same.
func TestTryThatFails(t *testing.T) {
	c := bootPartition(t, map[string]string{cmdlineFile: uuidLine + padding})
	was := c.text(t, cmdlineFile)
	flush = func(f *os.File) error { flush = (*os.File).Sync; return os.ErrDeadlineExceeded }
	defer func() { flush = (*os.File).Sync }()
	if err := c.Try(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a flush that fails: %v", err)
	}
	if now := c.text(t, cmdlineFile); now != was || c.asInit(t) {
		t.Errorf("the next start is a trial that nobody asked for: %q", now)
	}
	if err := c.Try(); err != nil { // once it flushes again
		t.Error(err)
	}
	if err := c.Untry(); err != nil || c.text(t, cmdlineFile) != was {
		t.Errorf("taken back: %v, %q", err, c.text(t, cmdlineFile))
	}
	if err := c.Switch(3); err != nil {
		t.Fatal(err)
	}
	if err := c.Try(); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a switch that waits: %v", err)
	}
	if n, err := c.Next(); n != 3 || err != nil {
		t.Errorf("the switch is undone: %d, %v", n, err)
	}
}
