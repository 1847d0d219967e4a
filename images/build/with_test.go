package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWithAProgramMore(t *testing.T) {
	t.Chdir(t.TempDir())
	i := instance("images/box")
	for name, text := range map[string]string{
		"config.json": `{"Hostname": "box", "Packages": ["a/b"], "PackageConfig": {"a/b": {"ExtraFilePaths": {"/x": "../../x"}}}}`,
		"event.yaml":  "event: x\n", "builddir/go.mod": "module x\n",
	} {
		path := filepath.Join(i.folder(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // a copy that is left of the last time is none of this
		c, err := i.with(version{Version: "v2", Build: 7, Board: "box"}, []string{"images/vm/saboteur", "images/vm/saboteur/init"})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(c), "/") != strings.Count(string(i), "/") || c.name() != "box-with-saboteur" {
			t.Errorf("%s is not as deep as %s", c, i)
		}
		data, err := os.ReadFile(filepath.Join(c.folder(), "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"InitPkg": "github.com/openvideobox/videobox/images/vm/saboteur/init"`, `"a/b"`, `"github.com/openvideobox/videobox/images/vm/saboteur"`, `"/x": "../../x"`} {
			if strings.Count(string(data), want) == 0 {
				t.Errorf("%s is not in %s", want, data)
			}
		}
		if _, err := os.Stat(filepath.Join(c.folder(), "builddir/go.mod")); err != nil {
			t.Error(err)
		}
		if v, err := c.version("v3", time.Unix(8, 0)); err != nil || v != (version{"v3", 8, "box", ""}) {
			t.Errorf("its version: %+v, %v", v, err)
		}
	}
	all := map[string]any{"Packages": []any{}}
	if err := addPrograms(all, []string{"x/init"}); err != nil || len(all["Packages"].([]any)) != 0 {
		t.Errorf("an init is a package, too: %v, %v", all, err)
	}
	if err := addPrograms(map[string]any{"Packages": 7}, nil); err == nil {
		t.Error("a config without a list of packages is taken")
	}
}

// TestAMissingKernelIsNamed: of an instance that wants the PC boxes' kernel.
func TestAMissingKernelIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	pc, other := []byte(`{"KernelPackage": "github.com/openvideobox/kernel-pc"}`), []byte(`{"KernelPackage": "github.com/gokrazy/kernel.rpi"}`)
	if err := kernelBuilt(pc); err == nil || !strings.Contains(err.Error(), "make kernel-pc builds it") {
		t.Errorf("without a kernel: %v", err)
	}
	if err := kernelBuilt(other); err != nil {
		t.Errorf("an instance with another kernel: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(kernelFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kernelFile, []byte("kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := kernelBuilt(pc); err != nil {
		t.Errorf("with a kernel: %v", err)
	}
	if kernelBuilt([]byte("{")) == nil {
		t.Error("a config that isn't JSON is taken")
	}
}

// TestTheKernelIsTheInstances: the names above are those of images/videobox-pc.
func TestTheKernelIsTheInstances(t *testing.T) {
	data, err := os.ReadFile("../videobox-pc/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"KernelPackage": "`+kernelPC+`"`) {
		t.Errorf("images/videobox-pc has another kernel than %s", kernelPC)
	}
	if _, err := os.Stat(filepath.Join("../..", filepath.Dir(kernelFile), "kernel.go")); err != nil {
		t.Errorf("the kernel's package is elsewhere: %v", err)
	}
	t.Chdir(t.TempDir())
	if kernelBuilt(data) == nil {
		t.Error("its missing kernel isn't found")
	}
}
