package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
)

const module = "github.com/openvideobox/videobox"

// with makes a copy of the instance that has programs more. It lies as deep as
// the instance itself, so that paths in it stay right.
func (i instance) with(folders []string) (instance, error) {
	copied := instance(filepath.Join(".cache", i.name()+"-with-"+path.Base(folders[0])))
	if err := os.RemoveAll(copied.folder()); err != nil {
		return "", err
	}
	if err := os.CopyFS(copied.folder(), os.DirFS(i.folder())); err != nil {
		return "", err
	}
	file := filepath.Join(copied.folder(), "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if data, err = addPrograms(data, folders); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return copied, os.WriteFile(file, data, 0o644)
}

// addPrograms adds the programs in these folders of the repository to a
// config.json and leaves the rest of it as it is.
func addPrograms(config []byte, folders []string) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	list, ok := all["Packages"].([]any)
	if !ok {
		return nil, fmt.Errorf("want a list of Packages, got %T", all["Packages"])
	}
	for _, f := range folders {
		list = append(list, path.Join(module, filepath.ToSlash(f)))
	}
	all["Packages"] = list
	return json.MarshalIndent(all, "", "    ")
}
