package ext4

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "make seed.gz anew with mkfs.ext4")

// The seed: blocks of 4 KiB; a journal of 8 MiB; an inode for 128 KiB, as there
// are few, large files; room in the first group for the group descriptors of
// 2 TiB, so that it can grow while it is in use; a checksum seed of its own, so
// that it can have another UUID. All that would differ next time is fixed.
var mkfsArgs = []string{
	"-q", "-F", "-b", "4096", "-N", "1024", "-m", "1", "-J", "size=8",
	"-O", "metadata_csum,metadata_csum_seed,64bit,resize_inode,^orphan_file",
	"-U", "7d2b1a52-0b0c-4f0e-9a53-6b1f2b8f0d10",
	"-E", "hash_seed=7d2b1a52-0b0c-4f0e-9a53-6b1f2b8f0d10,resize=536870912,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard",
}

// tool is one of e2fsprogs, which Debian puts where only root's PATH looks.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/sbin", name)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs e2fsprogs: %v", err)
	}
	return path
}

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Env = append(os.Environ(), "E2FSPROGS_FAKE_TIME=1767225600")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
	return string(out)
}

func sparse(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

// pack is the reverse of unpack.
func pack(t *testing.T, image []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(image) / commonBlock {
		block := image[n*commonBlock:][:commonBlock]
		if bytes.Equal(block, make([]byte, commonBlock)) {
			continue
		}
		z.Write(append(le.AppendUint32(nil, uint32(n)), block...))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestSeedIsWhatMkfsMakes: with -update it makes the seed.
func TestSeedIsWhatMkfsMakes(t *testing.T) {
	f := sparse(t, SeedBytes)
	runTool(t, "mkfs.ext4", append(mkfsArgs, f.Name())...)
	want, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("seed.gz", pack(t, want), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("seed.gz written; run the test again without -update")
	}
	got, err := unpack(seedData)
	if err != nil {
		t.Fatal(err)
	}
	if version, _ := exec.CommandContext(t.Context(), tool(t, "mkfs.ext4"), "-V").CombinedOutput(); !strings.Contains(string(version), "1.47.0") {
		t.Logf("not compared byte by byte: another mkfs.ext4 than the seed's: %s", version)
		return
	}
	if !bytes.Equal(got, want) {
		t.Error("seed.gz isn't what mkfs.ext4 makes now: go test -update ./appliance/internal/ext4")
	}
	if len(seedData) > 20<<10 {
		t.Errorf("%d bytes, which is much for what is committed", len(seedData))
	}
}

// TestMadeFileSystemIsWholeAndGrows to 1 TiB; the kernel grows it in the virtual
// machine's tests, here it is resize2fs.
func TestMadeFileSystemIsWholeAndGrows(t *testing.T) {
	const terabyte = 1 << 40
	f := sparse(t, terabyte)
	// What an earlier owner left must not shine through.
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, SeedBytes), 0); err != nil {
		t.Fatal(err)
	}
	if err := Make(f, terabyte, "perm"); err != nil {
		t.Fatal(err)
	}
	runTool(t, "e2fsck", "-fn", f.Name())
	s, err := ReadSuper(f)
	if err != nil || s.Bytes() != SeedBytes || s.Label != "perm" || s.Errors {
		t.Fatalf("%+v, %v", s, err)
	}
	runTool(t, "resize2fs", f.Name())
	runTool(t, "e2fsck", "-fn", f.Name())
	if s, err = ReadSuper(f); err != nil || s.Bytes() != terabyte {
		t.Errorf("grown: %+v, %v", s, err)
	}
	if b, err := ReadBackup(f); err != nil || b.Group != 1 || b.Bytes() != terabyte {
		t.Errorf("its copy: %+v, %v", b, err)
	}
}

func TestEachIsAnother(t *testing.T) {
	a, err := seed("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := seed("a")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a[superOffset+uuidOffset:][:16], b[superOffset+uuidOffset:][:16]) {
		t.Error("two file systems have one UUID")
	}
	if _, err := seed("a label of 17 by."); err == nil {
		t.Error("a label that is too long was taken")
	}
	if err := Make(sparse(t, 0), SeedBytes-1, ""); !errors.Is(err, ErrTooSmall) {
		t.Errorf("too small: %v", err)
	}
}

// cutDisk keeps the first writes and loses the rest, as a power cut does.
type cutDisk struct {
	*os.File
	left int
}

func (d *cutDisk) WriteAt(p []byte, at int64) (int, error) {
	if d.left == 0 {
		return 0, os.ErrClosed
	}
	d.left--
	return d.File.WriteAt(p, at)
}

// TestCutWhileMaking: what is there is nothing or a whole file system.
func TestCutWhileMaking(t *testing.T) {
	none, whole := 0, 0
	for _, n := range []int{0, 1, 2, 9, 31, 32, 33, 34, 40} {
		f := sparse(t, SeedBytes)
		err := Make(&cutDisk{f, n}, SeedBytes, "perm")
		switch _, read := ReadSuper(f); {
		case errors.Is(read, ErrNone) && err != nil:
			none++
		case read == nil:
			whole++
			runTool(t, "e2fsck", "-fn", f.Name())
		default:
			t.Errorf("after %d writes: %v", n, read)
		}
	}
	if none < 6 || whole == 0 {
		t.Errorf("%d times nothing, %d times a whole one", none, whole)
	}
}

func TestReadSuper(t *testing.T) {
	image, err := seed("perm")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b []byte){
		"none":        func(b []byte) { clear(b) },
		"no blocks":   func(b []byte) { le.PutUint32(b[4:], 0); le.PutUint32(b[csumOffset:], superSum(b)) },
		"a copy":      func(b []byte) { b[0x5a] = 1; le.PutUint32(b[csumOffset:], superSum(b)) },
		"huge blocks": func(b []byte) { b[0x18] = 7; le.PutUint32(b[csumOffset:], superSum(b)) },
	} {
		b := bytes.Clone(image[:2*superBytes])
		change(b[superOffset:])
		if s, err := ReadSuper(bytes.NewReader(b)); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	torn := bytes.Clone(image[:2*superBytes])
	torn[superOffset+4]++
	if _, err := ReadSuper(bytes.NewReader(torn)); !errors.Is(err, ErrTorn) {
		t.Errorf("torn: %v", err)
	}
	if _, err := ReadSuper(bytes.NewReader(image[:1500])); !errors.Is(err, ErrNone) {
		t.Errorf("a cut one: %v", err)
	}
	b := image[superOffset:][:superBytes]
	b[0x3a] |= stateErrors
	le.PutUint32(b[csumOffset:], superSum(b))
	if s, err := ReadSuper(bytes.NewReader(image)); err != nil || !s.Errors {
		t.Errorf("with errors: %+v, %v", s, err)
	}
}

// TestReseal: a superblock of which one sector is from before a change can be
// repaired, which e2fsck alone refuses.
func TestReseal(t *testing.T) {
	f := sparse(t, 64<<20)
	if err := Make(f, 64<<20, "perm"); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, superBytes)
	if _, err := f.ReadAt(old, superOffset); err != nil {
		t.Fatal(err)
	}
	if err := Reseal(f); err != nil {
		t.Fatalf("a whole one: %v", err)
	}
	runTool(t, "resize2fs", f.Name())
	if _, err := f.WriteAt(old[:512], superOffset); err != nil { // now it says the old size
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), tool(t, "e2fsck"), "-fy", f.Name()).Run(); err == nil {
		t.Error("e2fsck needs no help")
	}
	if err := Reseal(f); err != nil {
		t.Fatal(err)
	}
	_ = exec.CommandContext(t.Context(), tool(t, "e2fsck"), "-fy", f.Name()).Run() // 1: repaired
	runTool(t, "e2fsck", "-fn", f.Name())
}

func FuzzReadSuper(f *testing.F) {
	image, err := seed("perm")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image[superOffset:][:superBytes])
	f.Fuzz(func(t *testing.T, b []byte) {
		disk := append(make([]byte, superOffset), b...)
		s, err := ReadSuper(bytes.NewReader(disk))
		if err == nil && (s.Bytes() <= 0 || len(s.Label) > labelBytes) {
			t.Errorf("%+v", s)
		}
	})
}
