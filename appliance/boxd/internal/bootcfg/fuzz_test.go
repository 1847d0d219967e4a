package bootcfg

import (
	"reflect"
	"testing"
)

// FuzzParse: whatever a person or a broken card wrote, each fault has a line,
// and what counts is read back the same from the copy.
func FuzzParse(f *testing.F) {
	for _, s := range []string{full, "", "dns:\n- 192.0.2.1\n", "name: 'it''s'\n", "rate: \"\\u0032\\x35\" # c\n", "user: [a, 'b]\n", "\xef\xbb\xbf---\nname: a\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, faults := Parse(data)
		for _, x := range faults {
			if x.Line < 1 || x.Text == "" {
				t.Errorf("fault %+v", x)
			}
		}
		if c.Password != "" {
			c.User, c.Password = "", "" // the copy has its hash
		}
		again, faults := Parse([]byte(c.Text()))
		if len(faults) > 0 || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v became %+v: %v\n%s", c, again, faults, c.Text())
		}
	})
}
