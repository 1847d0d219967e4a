package usb

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzDescriptors: a device may say anything of itself in its descriptors, which
// the kernel hands on in sysfs as they are. What is shown of it is one line of
// text, and what can't be a device isn't one.
func FuzzDescriptors(f *testing.F) {
	f.Add("345f", "2131", "1", "5", "480", "0001", "USB3.0 Video")
	f.Add("0", "ffff", "1", "127", "1.5", "", "")
	f.Add("345f ", "-1", "x", "99999999999999999999", "1e309", "\x00\x01", "two\nlines\x1b[2J \xff\u202e")
	f.Fuzz(func(t *testing.T, vendor, product, bus, number, speed, serial, name string) {
		d, err := parse(func(file string) string {
			return map[string]string{
				"idVendor": vendor, "idProduct": product, "busnum": bus, "devnum": number, "speed": speed, "serial": serial, "product": name,
			}[file]
		})
		for _, s := range []string{d.String(), d.Serial, d.Name} {
			if !utf8.ValidString(s) || strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 || utf8.RuneCountInString(s) > maxText+len("ffff:ffff ") {
				t.Fatalf("%q is shown", s)
			}
		}
		if err == nil && (d.Bus < 1 || d.Number < 1 || d.Number > 127 || d.Speed < 0) {
			t.Fatalf("%+v is no device", d)
		}
	})
}
