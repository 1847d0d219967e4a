package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpdateTarget(t *testing.T) {
	for _, c := range []struct{ url, env, want, fault string }{
		{"http://admin:secret@box1.local", "", "http://admin:secret@box1.local/", ""},
		{"http://admin@192.0.2.7:8102/", "p:w/d", "http://admin:p%3Aw%2Fd@192.0.2.7:8102/", ""},
		{"http://admin@box1.local/", "", "", "set VIDEOBOX_PASSWORD"},
		{"http://box1.local/", "secret", "", "with a user"},
		{"box1", "secret", "", "with a user"},
		{"https://admin:hidden@box1.local/", "", "", "write http://"},
	} {
		got, _, err := updateCmd{URL: c.url, Password: c.env}.target()
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && (!strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s: %q, %v; want %q, %q", c.url, got, err, c.want, c.fault)
		}
	}
}

// TestPasswordIsNotLogged writes in pieces of every size.
func TestPasswordIsNotLogged(t *testing.T) {
	const said = "Updating http://admin:se@cret@box1/\nagain http://admin:se%40cret@box1/\rend"
	for n := 1; n <= len(said); n++ {
		var out bytes.Buffer
		r := redact(&out, "se@cret")
		for rest := said; rest != ""; {
			k := min(n, len(rest))
			if m, err := r.Write([]byte(rest[:k])); m != k || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[k:]
		}
		if got := out.String(); got != "Updating http://admin:…@box1/\nagain http://admin:…@box1/\r" {
			t.Fatalf("pieces of %d: %q", n, got)
		}
	}
}

// TestUpdateConfigIsPrivate: it has the password in it.
func TestUpdateConfigIsPrivate(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("images/box", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("images/box/config.json", []byte(`{"Hostname": "box"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := instance("images/box").changed("update", version{}, func(all map[string]any) error { all["x"] = "y"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(c.folder(), "config.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
