package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/images/fleet/internal/rollout"
	"github.com/openvideobox/videobox/internal/dnssd"
	"github.com/openvideobox/videobox/internal/event"
)

// passwordEnv names a variable with the boxes' password, for those who don't
// keep it in the secrets file.
const passwordEnv = "VIDEOBOX_PASSWORD"

// lookupTime is how long answers by DNS-SD are waited for.
const lookupTime = 2 * time.Second

// login is what opens the event's boxes. The password is checked here, so that
// a wrong one is not tried at sixty boxes.
func login(e *event.Event, password string) (event.BoxLogin, error) {
	l := e.Secrets.Box
	if password != "" {
		l.Password = password
	}
	switch {
	case l.User == "":
		return l, fmt.Errorf("%s: no credentials of the boxes; put box: {user: admin, bcrypt: …, password: …} into its secrets file", e.Path)
	case l.Password == "":
		return l, fmt.Errorf("%s: the boxes' password is not known here; put box: {password: …} into its secrets file, or set %s", e.Path, passwordEnv)
	case l.Bcrypt != "" && bcrypt.CompareHashAndPassword([]byte(l.Bcrypt), []byte(l.Password)) != nil:
		return l, errors.New("the boxes' password doesn't fit box.bcrypt of the secrets file, which is what boxes know")
	}
	return l, nil
}

// targets are the event's boxes: all, or those of only, without those of skip.
func targets(e *event.Event, only, skip []string, l event.BoxLogin) ([]rollout.Target, error) {
	for _, name := range slices.Concat(only, skip) {
		if _, err := e.Box(name); err != nil {
			return nil, err
		}
	}
	client := box.Client()
	var list []rollout.Target
	for _, b := range e.Boxes {
		if len(only) > 0 && !slices.Contains(only, b.Name) || slices.Contains(skip, b.Name) {
			continue
		}
		room, _, _ := e.RoomOf(b.Name)
		list = append(list, rollout.Target{Name: b.Name, Room: room.Name, Box: box.Box{Addr: b.HTTPAddr, User: l.User, Password: l.Password, HTTP: client}})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no box is left to look after; it has %d", e.Path, len(e.Boxes))
	}
	return list, nil
}

// findLocal gives boxes at NAME.local, which not every system can resolve, the
// address at which they were found. Others are where the event file says.
func findLocal(e *event.Event, list []rollout.Target, found []dnssd.Found) {
	for i, t := range list {
		b, _ := e.Box(t.Name)
		if !strings.HasSuffix(b.Address, ".local") {
			continue
		}
		for _, f := range found {
			if known(b, f) {
				list[i].Box.Addr = f.Addr.String()
			}
		}
	}
}

// known says whether what was found is that box: by hardware address, or where
// the file gives none by name.
func known(b event.Box, f dnssd.Found) bool {
	if mac, err := net.ParseMAC(f.Text["mac"]); err == nil && b.MAC != "" {
		return mac.String() == b.MAC
	}
	return f.Text["name"] == b.Name
}

// lookup finds boxes; a network that can't be asked is only said.
func lookup(ctx context.Context) []dnssd.Found {
	found, err := dnssd.Lookup(ctx, dnssd.Box, lookupTime)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet: no search by DNS-SD:", err)
	}
	return found
}
