package perm

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/appliance/internal/ext4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a system that notes what is done to it.
type fake struct {
	did      []string
	kind     string // mounted now
	busy     int    // so often unmounting fails
	holders  []string
	bad      int   // mounts that fail
	codes    []int // of e2fsck
	checkErr error
}

func (f *fake) note(s ...string)         { f.did = append(f.did, strings.Join(s, " ")) }
func (f *fake) mounted() (string, error) { return f.kind, nil }

func (f *fake) mount(readOnly bool) error {
	if readOnly {
		f.note("mount read-only")
		f.kind = "ext4"
		return nil
	}
	f.note("mount")
	if f.bad > 0 {
		f.bad--
		return errors.New("structure needs cleaning")
	}
	f.kind = "ext4"
	return nil
}

func (f *fake) unmount() error {
	if f.busy > 0 {
		f.busy--
		return errors.New("device or resource busy")
	}
	f.note("unmount")
	f.kind = ""
	return nil
}

func (f *fake) release() (ended []string) {
	ended, f.holders = f.holders, nil
	return ended
}

func (f *fake) check(_ context.Context, _ func(string), args ...string) (int, string, error) {
	f.note(append([]string{"e2fsck"}, args...)...)
	if f.checkErr != nil {
		return 0, "", f.checkErr
	}
	code := f.codes[0]
	f.codes = f.codes[1:]
	return code, "checked", nil
}

func (f *fake) resizePartition(int, span) error { f.note("resize partition"); return nil }
func (f *fake) growFS(uint64) error             { f.note("grow"); return nil }

// image is a file that stands for a card: as gok leaves it, or with a file
// system.
func image(t *testing.T, withFS bool) *preparer {
	t.Helper()
	const sectors = 200_000
	was := gokrazyTable(oldSectors)
	first, _, _ := was.span(4)
	partition(was, 4, first, first+80_000)
	f, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(sectors * sector); err != nil {
		t.Fatal(err)
	}
	for lba, b := range map[int64][]byte{1: was.sealed(1, oldSectors-1, entriesLBA), entriesLBA: was.entries} {
		if _, err := f.WriteAt(b, lba*sector); err != nil {
			t.Fatal(err)
		}
	}
	p := &preparer{disk: f, sectors: sectors, number: 4, size: 80_001 * sector, say: func(s string) { t.Log(s) }}
	p.part = part{io.NewSectionReader(f, int64(first)*sector, p.size), f, int64(first) * sector}
	if withFS {
		if _, err := p.part.WriteAt(whole(), 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { f.Close() })
	return p
}

// whole is a new file system.
var whole = sync.OnceValue(func() []byte {
	var m memory
	if err := ext4.Make(&m, ext4.SeedBytes, "perm"); err != nil {
		panic(err)
	}
	return m[:]
})

type memory [ext4.SeedBytes]byte

func (m *memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }
func (m *memory) Sync() error                             { return nil }

// part is a part of a file as a device of its own.
type part struct {
	*io.SectionReader
	f     *os.File
	start int64
}

func (p part) WriteAt(b []byte, at int64) (int, error) { return p.f.WriteAt(b, p.start+at) }
func (p part) Sync() error                             { return nil }
func (p part) Close() error                            { return nil }

// markErrors sets the flag that the kernel sets when it meets an error.
func markErrors(t *testing.T, p *preparer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ext4")
	if err := os.WriteFile(path, whole(), 0o644); err != nil {
		t.Fatal(err)
	}
	debugfs(t, path, "ssv state 3")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.part.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
}

func TestPrepare(t *testing.T) {
	grown := []string{"resize partition", "grow"}
	for name, c := range map[string]struct {
		withFS, errors, torn bool
		on                   fake
		state                State
		did                  []string
	}{
		"as init left it": {withFS: true, on: fake{kind: "ext4"}, state: Ready, did: grown},
		"empty, as gok leaves it": {
			state: Made, did: append([]string{"mount"}, grown...),
		},
		"whole but not mounted": {withFS: true, state: Ready, did: append([]string{"mount"}, grown...)},
		"errors": {
			withFS: true, errors: true, on: fake{kind: "ext4", codes: []int{1}}, state: Repaired,
			did: append([]string{"unmount", "e2fsck -f -p", "mount"}, grown...),
		},
		"errors that need all": {
			withFS: true, errors: true, on: fake{kind: "ext4", codes: []int{4, 1}}, state: Repaired,
			did: append([]string{"unmount", "e2fsck -f -p", "e2fsck -f -y", "mount"}, grown...),
		},
		"can't be mounted": {
			withFS: true, on: fake{bad: 1, codes: []int{12, 4, 0}}, state: Repaired,
			did: append([]string{"mount", "e2fsck -f -p", "e2fsck -f -y", "e2fsck -f -y", "mount"}, grown...),
		},
		"can't be repaired": {
			withFS: true, on: fake{bad: 9, codes: []int{8, 8, 8}}, state: Missing,
			did: []string{"mount", "e2fsck -f -p", "e2fsck -f -y", "e2fsck -f -y", "mount"},
		},
		"e2fsck fails": {
			withFS: true, on: fake{bad: 1, checkErr: errors.New("killed")}, state: Missing,
			did: []string{"mount", "e2fsck -f -p", "mount read-only"},
		},
		"torn superblock": {
			withFS: true, torn: true, on: fake{codes: []int{1}}, state: Repaired,
			did: append([]string{"e2fsck -f -p", "mount"}, grown...),
		},
		"held for a while": {
			withFS: true, errors: true, on: fake{kind: "ext4", busy: 3, holders: []string{"record"}, codes: []int{0}}, state: Repaired,
			did: append([]string{"unmount", "e2fsck -f -p", "mount"}, grown...),
		},
		"held for ever": {
			withFS: true, errors: true, on: fake{kind: "ext4", busy: 1000}, state: Missing, did: []string{"mount read-only"},
		},
		"somebody's own": {on: fake{kind: "vfat"}, state: Ready},
	} {
		t.Run(name, func(t *testing.T) {
			p := image(t, c.withFS)
			p.machine = &c.on
			if c.errors {
				markErrors(t, p)
			}
			if c.torn { // the first sector is from another time than the checksum in the second
				if _, err := p.part.WriteAt([]byte{1}, 1024+0x34); err != nil {
					t.Fatal(err)
				}
			}
			r := p.prepare(t.Context())
			if r.State != c.state || !slices.Equal(c.on.did, c.did) {
				t.Errorf("%+v after\n%q, want %s after\n%q", r, c.on.did, c.state, c.did)
			}
		})
	}
}

func TestUnreadableCardIsNeverFormatted(t *testing.T) {
	p := image(t, true)
	p.machine = &fake{}
	p.part = broken{p.part}
	if r := p.prepare(t.Context()); r.State != Missing || !strings.Contains(r.Text, "can't be read") {
		t.Errorf("%+v", r)
	}
}

type broken struct{ partitionDevice }

func (broken) ReadAt([]byte, int64) (int, error)  { return 0, errors.New("input/output error") }
func (broken) WriteAt([]byte, int64) (int, error) { panic("written") }

func TestProgress(t *testing.T) {
	var said []string
	showProgress(strings.NewReader("1 0 40 /dev/x\n1 2 40 /dev/x\n1 21 40 /dev/x\nnonsense\n5 40 40 /dev/x\n"), func(s string) { said = append(said, s) })
	want := []string{"repairing, step 1 of 5, 0 %", "repairing, step 1 of 5, 50 %", "repairing, step 5 of 5, 100 %"}
	if !slices.Equal(said, want) {
		t.Errorf("%q", said)
	}
}

func TestResultIsWrittenWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "videobox", "perm.json")
	want := Result{State: Made, Text: "made", Bytes: 12}
	if err := writeResult(name, want); err != nil {
		t.Fatal(err)
	}
	if got := Read(name); got == nil || *got != want {
		t.Errorf("%+v", got)
	}
	if got := Read(name + ".none"); got != nil {
		t.Errorf("where there is none: %+v", got)
	}
}

func TestNotABoxNothingIsTouched(t *testing.T) {
	task := Start(t.Context(), nil)
	if onBox() {
		t.Fatal("this is a box")
	}
	<-task.Done()
	if r := task.Result(); r != (Result{}) {
		t.Errorf("%+v", r)
	}
}

func TestSiblings(t *testing.T) {
	sys := t.TempDir()
	for path, text := range map[string]string{
		"devices/card/mmcblk0/size":                "2000\n",
		"devices/card/mmcblk0/mmcblk0p2/size":      "100\n",
		"devices/card/mmcblk0/mmcblk0p2/partition": "2\n",
		"devices/card/mmcblk0/mmcblk0p4/size":      "300\n",
		"devices/card/mmcblk0/mmcblk0p4/partition": "4\n",
		"dev/block/there":                          "",
	} {
		path = filepath.Join(sys, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../devices/card/mmcblk0/mmcblk0p2", filepath.Join(sys, "dev/block/179:2")); err != nil {
		t.Fatal(err)
	}
	disk, part, err := siblings(sys, 179, 2, 4)
	if err != nil || disk != (block{"mmcblk0", 2000 * 512}) || part != (block{"mmcblk0p4", 300 * 512}) {
		t.Errorf("%+v, %+v, %v", disk, part, err)
	}
	if _, _, err := siblings(sys, 179, 2, 5); err == nil {
		t.Error("a partition was found that isn't there")
	}
	if _, _, err := siblings(sys, 1, 1, 4); err == nil {
		t.Error("a root file system without a disk was found")
	}
}
