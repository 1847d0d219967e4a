package event

import (
	"encoding"
	"testing"
)

func TestValues(t *testing.T) {
	type value interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
	for _, c := range []struct {
		v          value
		text, want string // want is what it is written as; "" when it is refused
	}{
		{new(size), "1280x720", "1280x720"},
		{new(size), "1280X720", ""},
		{new(size), "1280x720x2", ""},
		{new(size), "-2x720", ""},
		{new(frameRate), "25", "25"},
		{new(frameRate), "60", "60"},
		{new(frameRate), "10", "10"},
		{new(frameRate), "24", "24"},
		{new(frameRate), "7", ""},
		{new(frameRate), "45", ""},
		{new(frameRate), "0", ""},
		{new(bitrate), "4000k", "4000k"},
		{new(bitrate), "4M", "4000k"},
		{new(bitrate), "2.5M", "2500k"},
		{new(bitrate), "4000001", "4000001"},
		{new(bitrate), "4e6", ""},
		{new(bitrate), "-4M", ""},
		{new(bitrate), "4MB", ""},
		{new(bitrate), "M", ""},
		{new(byteSize), "1GiB", "1GiB"},
		{new(byteSize), "1.5 GiB", "1536MiB"},
		{new(byteSize), "2GB", "1953125KiB"},
		{new(byteSize), "1000", "1000"},
		{new(byteSize), "0", "0"},
		{new(byteSize), "9999999TiB", ""},
		{new(byteSize), "1.5", ""},
	} {
		err := c.v.UnmarshalText([]byte(c.text))
		if err != nil {
			if c.want != "" {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		got, err := c.v.MarshalText()
		if err != nil || string(got) != c.want {
			t.Errorf("%q became %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}
