package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// versionFile is in the instance's folder, in the image as
// /etc/videobox/version.json, where boxd reads it, and on the boot partition.
const versionFile = "version.json"

// bootVersionFile is its name on the boot partition, of 8.3 characters.
const bootVersionFile = "version.txt"

// version is what an image says that it is.
type version struct {
	Version string `json:"version"` // for people
	Build   int64  `json:"build"`   // Unix seconds
	Board   string `json:"board"`   // the instance
	Arch    string `json:"arch"`
}

// version is the instance's as it is built now; name "" takes the commit.
func (i instance) version(name string, now time.Time) (v version, err error) {
	data, err := os.ReadFile(filepath.Join(i.folder(), versionFile))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%s: %w", versionFile, err)
	}
	v.Version, v.Build = name, now.Unix()
	if name == "" {
		v.Version = now.UTC().Format("2006-01-02 15:04") + described()
	}
	return v, nil
}

// described is the commit, or nothing where there is no git.
func described() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return " " + strings.TrimSpace(string(out))
}

// text is what both files hold.
func (v version) text() ([]byte, error) {
	data, err := json.Marshal(v)
	return append(data, '\n'), err
}

func (v version) write(path string) error {
	data, err := v.text()
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
