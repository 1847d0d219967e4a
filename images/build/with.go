package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

const module = "github.com/openvideobox/videobox"

// with makes a copy of the instance that says which version it is and has
// programs more.
func (i instance) with(v version, folders []string) (instance, error) {
	if len(folders) == 0 {
		return i.changed("image", v, func(map[string]any) error { return nil })
	}
	return i.changed("with-"+path.Base(folders[0]), v, func(all map[string]any) error { return addPrograms(all, folders) })
}

// changed makes a copy of the instance with its version and another
// config.json, which only this user may read. It lies as deep as the instance
// itself, so that paths in it stay right.
func (i instance) changed(why string, v version, change func(config map[string]any) error) (instance, error) {
	copied := instance(filepath.Join(".cache", i.name()+"-"+why))
	if err := os.RemoveAll(copied.folder()); err != nil {
		return "", err
	}
	if err := os.CopyFS(copied.folder(), os.DirFS(i.folder())); err != nil {
		return "", err
	}
	if err := v.write(filepath.Join(copied.folder(), versionFile)); err != nil {
		return "", err
	}
	file := filepath.Join(copied.folder(), "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if err := kernelBuilt(data); err != nil {
		return "", err
	}
	if data, err = changeConfig(data, change); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if err := os.Remove(file); err != nil {
		return "", err
	}
	return copied, os.WriteFile(file, data, 0o600)
}

// The PC boxes' kernel isn't fetched as a module is: it is built into our own.
const (
	kernelPC   = "github.com/openvideobox/kernel-pc"
	kernelFile = "images/kernel-pc/package/vmlinuz"
)

// kernelBuilt says what is missing, where gok would name a file of its own cache.
func kernelBuilt(config []byte) error {
	var wants struct{ KernelPackage string }
	if err := json.Unmarshal(config, &wants); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	if wants.KernelPackage != kernelPC {
		return nil
	}
	if _, err := os.Stat(kernelFile); err != nil {
		return fmt.Errorf("the kernel of PC boxes isn't built: %w; make kernel-pc builds it, in about 9 minutes on two cores", err)
	}
	return nil
}

// changeConfig leaves the rest of a config.json as it is.
func changeConfig(config []byte, change func(map[string]any) error) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	if err := change(all); err != nil {
		return nil, err
	}
	return json.MarshalIndent(all, "", "    ")
}

// addPrograms adds the programs in these folders of the repository. One that is
// called init is there instead of gokrazy's.
func addPrograms(all map[string]any, folders []string) error {
	list, ok := all["Packages"].([]any)
	if !ok {
		return fmt.Errorf("want a list of Packages, got %T", all["Packages"])
	}
	for _, f := range folders {
		if path.Base(f) == "init" {
			all["InternalCompatibilityFlags"] = map[string]string{"InitPkg": path.Join(module, filepath.ToSlash(f))}
			continue
		}
		list = append(list, path.Join(module, filepath.ToSlash(f)))
	}
	all["Packages"] = list
	return nil
}
