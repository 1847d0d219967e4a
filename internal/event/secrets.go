package event

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
)

// Secrets is the secrets file. Each value may be missing.
type Secrets struct {
	PublishKey string // RTMP publishers must know it
	Box        BoxLogin
	EventKey   ed25519.PrivateKey // signs the view that boxes get
	UpdateKey  ed25519.PublicKey  // update bundles are signed with its private half
	Users      []User             // of the control page
}

// BoxLogin is what opens a box. Password is only on hosts that log in to one.
type BoxLogin struct {
	User, Bcrypt, Password string
}

// User may control the rooms; "*" is all of them.
type User struct {
	Name, Bcrypt string
	Rooms        []string
}

// May says whether the user may control a room.
func (u User) May(room string) bool {
	return slices.Contains(u.Rooms, "*") || slices.Contains(u.Rooms, room)
}

// String keeps secrets out of logs.
func (s Secrets) String() string { return "[secrets]" }

type secretsSchema struct {
	PublishKey string       `yaml:"publish_key"`
	Box        boxLogin     `yaml:"box"`
	EventKey   string       `yaml:"event_key"`
	UpdateKey  string       `yaml:"update_key"`
	Users      []userSchema `yaml:"users"`
}

type boxLogin struct {
	User     string `yaml:"user"`
	Bcrypt   string `yaml:"bcrypt"`
	Password string `yaml:"password"`
}

type userSchema struct {
	Name   string   `yaml:"name"`
	Bcrypt string   `yaml:"bcrypt"`
	Rooms  []string `yaml:"rooms"`
}

func (e *Event) setSecrets(s Secrets) {
	e.Secrets = s
	for i := range e.Origins {
		e.Origins[i].key = s.PublishKey
	}
}

func parseSecrets(path string, data []byte, e *Event) (Secrets, error) {
	b := &binder{path: path, lines: map[string]int{}}
	var s secretsSchema
	b.parse(data, &s)
	if len(b.errs) > 0 {
		return Secrets{}, b.err()
	}
	out := Secrets{PublishKey: s.PublishKey, Box: BoxLogin(s.Box)}
	out.EventKey = b.privateKey("event_key", s.EventKey)
	out.UpdateKey = b.publicKey("update_key", s.UpdateKey)
	b.checkHash("box.bcrypt", s.Box.Bcrypt, s.Box.User == "")
	if s.Box.User == "" && s.Box != (boxLogin{}) {
		b.at("box", "box has no user; add user: admin")
	}
	seen := map[string]bool{}
	for i, u := range s.Users {
		b.checkUser(fmt.Sprintf("users[%d]", i), u, seen, e)
		out.Users = append(out.Users, User(u))
	}
	return out, b.err()
}

func (b *binder) checkUser(key string, u userSchema, seen map[string]bool, e *Event) {
	switch {
	case u.Name == "":
		b.at(key, "a user without a name; add name: NAME")
	case seen[u.Name]:
		b.at(key+".name", "user %s is given twice; remove one", u.Name)
	}
	seen[u.Name] = true
	b.checkHash(key+".bcrypt", u.Bcrypt, false)
	if len(u.Rooms) == 0 {
		b.at(key, "user %s has no rooms; add rooms: [\"*\"] for all", u.Name)
	}
	for i, r := range u.Rooms {
		if r == "*" {
			continue
		}
		if _, err := e.Room(r); err != nil {
			b.at(fmt.Sprintf("%s.rooms[%d]", key, i), "user %s may control room %q, which %s doesn't have", u.Name, r, e.Path)
		}
	}
}

var bcryptHash = regexp.MustCompile(`^\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$`)

// checkHash never shows the value: it may be a password in the wrong place.
func (b *binder) checkHash(key, hash string, optional bool) {
	if hash == "" && optional || bcryptHash.MatchString(hash) {
		return
	}
	b.at(key, "%s is no bcrypt hash; make one with htpasswd -nB NAME", key)
}

func (b *binder) privateKey(key, text string) ed25519.PrivateKey {
	raw, err := base64.StdEncoding.DecodeString(text)
	switch {
	case text == "":
		return nil
	case err == nil && len(raw) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(raw)
	case err == nil && len(raw) == ed25519.PrivateKeySize &&
		slices.Equal(ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), raw):
		return raw
	}
	b.at(key, "%s is no ed25519 private key; it must be 32 or 64 bytes in base64", key)
	return nil
}

func (b *binder) publicKey(key, text string) ed25519.PublicKey {
	raw, err := base64.StdEncoding.DecodeString(text)
	switch {
	case text == "":
		return nil
	case err == nil && len(raw) == ed25519.PublicKeySize:
		return raw
	}
	b.at(key, "%s is no ed25519 public key; it must be 32 bytes in base64", key)
	return nil
}
