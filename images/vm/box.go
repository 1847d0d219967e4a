package vm

import (
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// The event of a box in a machine without KVM: what it can encode in time.
const boxEvent = `event: Virtual machine
video: {size: 320x180, rate: 10, bitrate: 400k}
audio: {rate: 48000, channels: 2, bitrate: 96k}
boxes:
  - name: videobox
rooms:
  - {name: virtual, camera: videobox, mixer: {host: videobox-control}}
secrets: event.secrets.yaml
`

// User is whom BoxPerm gives the password to.
const User = "admin"

// BoxPerm are the files of a box's /perm: a small, cheap picture, and
// credentials for its page.
func BoxPerm(password string) (map[string]string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost) // the guest is slow
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"event.yaml":         boxEvent,
		"event.secrets.yaml": fmt.Sprintf("box: {user: %s, bcrypt: %q}\n", User, hash),
		"capture.json":       `{"preset": "ultrafast", "threads": 1}` + "\n",
	}, nil
}
