// Command kernel-pc makes the kernel of PC boxes: Debian's linux-source, pinned
// by its hash, with the configuration beside this file, as a gokrazy kernel
// package. `make kernel-pc` runs it.
//
// The package is package/: a Go module with vmlinuz, modules, cmdline.txt and
// config.txt, which images/videobox-pc names. What is built is not committed; it
// is kept in .cache/kernel-pc under a key made of source, configuration and
// compiler, so that only a change of one of them builds again.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/alecthomas/kong"

	"github.com/openvideobox/videobox/internal/run"
)

const description = `Builds the PC boxes' kernel from Debian's source with images/kernel-pc/kernel.config
and puts it into images/kernel-pc/package. Takes long when it isn't
cached (9 minutes on two cores), and a second when it is.`

type cli struct {
	Folder string `default:"images/kernel-pc" placeholder:"DIR" help:"Where configuration and package lie."`
	Cache  string `default:".cache/kernel-pc" placeholder:"DIR" help:"Where source and finished kernels are kept."`
	Jobs   int    `placeholder:"N" help:"Compilers at once; as many as there are cores if not given."`
	Cached bool   `help:"Build nothing; fail if this kernel is not in the cache."`
	Anew   bool   `help:"Build even if this kernel is in the cache; says whether the bytes are the same."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("kernel-pc"), kong.Description(description))
	run.Main(c.run)
}

func (c cli) run(ctx context.Context) error {
	if c.Jobs == 0 {
		c.Jobs = runtime.NumCPU()
	}
	fragment, err := os.ReadFile(filepath.Join(c.Folder, "kernel.config"))
	if err != nil {
		return err
	}
	compiler, err := compilerVersion(ctx)
	if err != nil {
		return err
	}
	cache, err := filepath.Abs(c.Cache)
	if err != nil {
		return err
	}
	k := kernel{cache: cache, key: key(source, fragment, compiler), fragment: fragment, jobs: c.Jobs}
	if c.Cached && !k.cached() {
		return fmt.Errorf("no %s in %s; make kernel-pc builds it", k.key, c.Cache)
	} else if c.Cached {
		return nil
	}
	began := time.Now()
	if c.Anew || !k.cached() {
		if err := k.build(ctx); err != nil {
			return err
		}
	}
	to := filepath.Join(c.Folder, "package")
	if err := install(k.finished(), to); err != nil {
		return err
	}
	sum, size, err := digest(k.finished())
	if err != nil {
		return err
	}
	fmt.Printf("kernel: Linux %s for PCs in %s after %.0f s: %.1f MB, sha256 %s\n", source.version, to, time.Since(began).Seconds(), float64(size)/1e6, sum)
	fmt.Printf("kernel: GPL-2.0; its complete source is %s (kept at %s), its configuration %s\n", source.url(), source.snapshot, filepath.Join(c.Folder, "kernel.config"))
	return nil
}
