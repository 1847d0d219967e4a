package bootcfg

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const aHash = "$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

var aKey = ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)

var full = `# a comment
name: hall-camera   # of the big hall
size: 640x360
rate: "30"
bitrate: 1500k
address: 192.0.2.7/24
gateway: 192.0.2.1
dns: [192.0.2.1, "2001:db8::1"]
log: logs.example
control: http://192.0.2.9:8000
event_key: ` + base64.StdEncoding.EncodeToString(aKey) + `
user: admin
bcrypt: '` + aHash + `'
`

var fullConfig = Config{
	Name: "hall-camera", Width: 640, Height: 360, Rate: 30, Bitrate: 1_500_000,
	Address: netip.MustParsePrefix("192.0.2.7/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
	DNS: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	Log: "logs.example:514", Control: "http://192.0.2.9:8000/event.yaml", EventKey: aKey,
	User: "admin", Bcrypt: aHash,
}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"as it is":          full,
		"of Windows":        "\xef\xbb\xbf" + strings.ReplaceAll(full, "\n", "\r\n"),
		"a list over lines": strings.Replace(full, `dns: [192.0.2.1, "2001:db8::1"]`, "dns:   # two\n  - 192.0.2.1\n- '2001:db8::1'", 1),
	} {
		c, faults := Parse([]byte(text))
		if len(faults) != 0 || !reflect.DeepEqual(c, fullConfig) {
			t.Errorf("%s: %+v, %v", name, c, faults)
		}
	}
	if c, faults := Parse([]byte(fullConfig.Text())); len(faults) != 0 || !reflect.DeepEqual(c, fullConfig) {
		t.Errorf("its own text: %+v, %v:\n%s", c, faults, fullConfig.Text())
	}
}

// TestFaults: each line that is wrong is named, and the name still counts.
func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"colour: red":             `2: unknown key "colour"; known are address, bcrypt,`,
		"name: other":             "2: name stands on line 1 already",
		"rate: 27":                "2: rate: 27 frames a second; use 25, 30",
		"size: 641x360":           "2: size: a size of 641x360; width and height must be even",
		"bitrate: fast":           `2: bitrate: "fast" is no bitrate`,
		"address: 192.0.2.7":      "2: address: \"192.0.2.7\" has no length of its network; write 192.0.2.7/24",
		"address: 192.0.2.255/24": "2: address: \"192.0.2.255/24\" is no host's address",
		"address: 2001:db8::1/64": "2: address: \"2001:db8::1/64\" is no IPv4",
		"gateway: 192.0.2.1":      "2: gateway: 192.0.2.1 counts only with an address",
		"address: 192.0.2.7/24\ngateway: 10.1.1.1": "3: gateway: 10.1.1.1 is not in the network",
		"dns: 192.0.2.1":              "2: dns counts only with an address",
		"dns: [a]":                    `2: dns: "a" is no server's address`,
		"log: a b":                    `2: log: "a b" is no host`,
		"log: host:99999":             `2: log: port "99999" is not from 1`,
		"control: mixer":              `2: control: "mixer" is no URL; write http://HOST:8000`,
		"event_key: abcd":             "2: event_key: no ed25519 public key",
		"user: admin":                 "2: a user without a password",
		"password: hushhush":          "2: a password without a user",
		"user: admin\npassword: hush": "3: password: a password has from 6 to 72 bytes",
		"user: a:b\nbcrypt: " + aHash: "2: user: a user has at most",
		"bcrypt: hush":                "2: bcrypt: no bcrypt hash",
		"just words":                  "2: no `key: value`",
		"  rate: 25":                  "2: starts with a space",
		"rate:":                       "2: rate has no value",
		"rate: [25, 30]":              "2: rate is a list; give one value",
		"rate: [25":                   "2: a list that does not end",
		"rate: '25":                   "2: quotes that don't end",
		"rate: {a: b}":                "2: a value that starts with {",
		"\xff\xfen\x00":               "1: not in UTF-8",
	} {
		c, faults := Parse([]byte("name: box7\n" + text + "\n"))
		var said []string
		for _, f := range faults {
			said = append(said, f.String())
		}
		if got := strings.Join(said, "\n"); !strings.HasPrefix(got, Name+":"+want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if c.Name != "box7" && !strings.Contains(text, "\x00") {
			t.Errorf("%q: the name is lost", text)
		}
		if strings.Contains(strings.Join(said, " "), "hush") {
			t.Errorf("%q: the password is shown: %q", text, said)
		}
	}
}

func TestCombine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "videobox", Name)
	combine := func(onBoot string, there bool) (Config, []Fault) {
		t.Helper()
		c, faults, err := Combine([]byte(onBoot), there, path)
		if err != nil {
			t.Fatal(err)
		}
		return c, faults
	}
	if c, f := combine("", false); !reflect.DeepEqual(c, Config{}) || f != nil {
		t.Errorf("nothing anywhere: %+v %v", c, f)
	}
	if c, f := combine(full, true); !reflect.DeepEqual(c, fullConfig) || f != nil {
		t.Errorf("the first file: %+v %v", c, f)
	}
	if c, f := combine("", false); !reflect.DeepEqual(c, fullConfig) || f != nil {
		t.Errorf("after an update: %+v %v", c, f)
	}
	if c, f := combine("name: box8\nrate: 27\n", true); c.Name != "box8" || c.Rate != 0 || len(f) != 1 || c.Control != "" {
		t.Errorf("a newer file: %+v %v", c, f)
	}
	if c, f := combine("n\x00a\x00", true); c.Name != "box8" || len(f) != 1 {
		t.Errorf("a file that can't be read: %+v %v", c, f)
	}
	if c, _ := combine("# nothing\n\n", true); !reflect.DeepEqual(c, Config{}) {
		t.Errorf("an empty file: %+v", c)
	}
	if c, _ := combine("", false); !reflect.DeepEqual(c, Config{}) {
		t.Errorf("the copy is still there: %+v", c)
	}
}

func TestPlainPasswordIsKeptAsAHashOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), Name)
	file := []byte("user: admin\npassword: correct horse\n")
	first, faults, err := Combine(file, true, path)
	if err != nil || len(faults) != 0 || bcrypt.CompareHashAndPassword([]byte(first.Bcrypt), []byte("correct horse")) != nil || first.Password != "" {
		t.Fatalf("%+v, %v, %v", first, faults, err)
	}
	kept, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(kept), "horse") {
		t.Errorf("kept: %s, %v", kept, err)
	}
	before, _ := os.Stat(path)
	again, _, err := Combine(file, true, path)
	if after, _ := os.Stat(path); err != nil || again.Bcrypt != first.Bcrypt || !os.SameFile(before, after) {
		t.Error("the same file again writes another hash")
	}
}

func TestInFolder(t *testing.T) {
	dir := t.TempDir()
	if _, there, err := inFolder(dir); there || err != nil {
		t.Errorf("none: %v, %v", there, err)
	}
	if err := os.WriteFile(filepath.Join(dir, Name+".txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := inFolder(dir); err == nil || !strings.Contains(err.Error(), "rename it") {
		t.Errorf("with .txt: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, Name), make([]byte, 2*maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	data, there, err := inFolder(dir)
	if !there || err != nil || len(data) != maxFile+1 {
		t.Errorf("too long: %d bytes, %v, %v", len(data), there, err)
	}
	if _, faults := Parse(data); len(faults) != 1 || !strings.Contains(faults[0].Text, "64 KiB") {
		t.Errorf("too long: %v", faults)
	}
}

// TestFirstPartition has a /sys like a card reader's.
func TestFirstPartition(t *testing.T) {
	root := t.TempDir()
	disk := filepath.Join(root, "devices", "mmcblk0")
	for n := 1; n <= 4; n++ {
		dir := filepath.Join(disk, fmt.Sprintf("mmcblk0p%d", n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "partition"), fmt.Appendf(nil, "%d\n", n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(root, "179:3")
	if err := os.Symlink("devices/mmcblk0/mmcblk0p3", link); err != nil {
		t.Fatal(err)
	}
	if got, err := firstPartition(link); got != "/dev/mmcblk0p1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := firstPartition(filepath.Join(root, "0:0")); err == nil {
		t.Error("no disk, no error")
	}
}
