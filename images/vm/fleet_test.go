//go:build vm

package vm_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/images/vm"
)

// fleetUpdate brings a bundle onto the box by `fleet update`, as the only box of
// an event: its canary. The table at the end must say so.
func (v victim) fleetUpdate(t *testing.T, file []byte) {
	t.Helper()
	dir, config := t.TempDir(), ""
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(v.Addr(80))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) (path string) {
		path = filepath.Join(dir, name)
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	bundle := write("new.vbox", string(file))
	write("secrets.yaml", fmt.Sprintf("box: {user: %s, bcrypt: '%s', password: secret}\nupdate_key: %s\n", vm.User, hash, publicKey()))
	config = write("event.yaml", fmt.Sprintf(`event: Fleet of one
secrets: secrets.yaml
boxes:
  - {name: videobox, address: 127.0.0.1, ports: {http: %s}}
rooms:
  - {name: virtual, camera: videobox, mixer: {host: mix.example}}
`, port))
	if err != nil {
		t.Fatal(err)
	}
	fleet := func(args ...string) (string, error) {
		cmd := exec.CommandContext(within(t, 6*time.Minute), "go", append([]string{"run", "./images/fleet"}, args...)...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		t.Logf("fleet %s: %v\n%s", args[0], err, out)
		return string(out), err
	}
	text, err := fleet("update", "--config", config, "--bundle", bundle)
	for _, want := range []string{"\nvideobox: on trial (canary)\n", "updated (canary)", "\n1 updated\n"} {
		if err != nil || !strings.Contains(text, want) {
			t.Fatalf("no %q, %v", want, err)
		}
	}
	// There is no time server here, so the box isn't well, and the exit code says it.
	text, err = fleet("status", "--config", config)
	if err == nil || !strings.Contains(text, "\nvideobox  virtual  ") || !strings.Contains(text, "  committed  ") || !strings.Contains(text, "of 1 boxes 0 don't answer and 1 are not well") {
		t.Errorf("status: %v", err)
	}
}
