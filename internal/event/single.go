package event

import (
	"errors"
	"fmt"
)

// ParseSize reads a picture's size as the event file has it: 1280x720.
func ParseSize(text string) (width, height int, err error) {
	var s size
	err = s.UnmarshalText([]byte(text))
	return s.width, s.height, err
}

// ParseRate reads frames a second.
func ParseRate(text string) (int, error) {
	var r frameRate
	err := r.UnmarshalText([]byte(text))
	return int(r), err
}

// ParseBitrate reads bit/s: 4000k, 4M or 4000000.
func ParseBitrate(text string) (int, error) {
	var b bitrate
	err := b.UnmarshalText([]byte(text))
	return int(b), err
}

// CheckName says what is wrong with the name of a box or a room, or nil.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%q is no name; use up to 40 letters, digits, - and _, with a letter or digit at both ends", name)
	}
	return nil
}

// CheckHost says what is wrong with a host's name or address, or nil.
func CheckHost(host string) error {
	if why := badHost(host); why != "" {
		return errors.New(why)
	}
	return nil
}

// IsBcrypt says whether a text is a hash that bcrypt makes.
func IsBcrypt(hash string) bool { return bcryptHash.MatchString(hash) }
