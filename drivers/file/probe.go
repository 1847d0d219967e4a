package file

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/openvideobox/videobox/internal/media"
)

// info is what ffprobe says about a file.
type info struct {
	width, height int
	plain         bool // square pixels, upright, planar 4:2:0, limited range: nothing to convert
	matrix        media.Matrix
	seconds       float64 // 0 when ffprobe doesn't know
	sound         bool
	still         bool // one picture, not a film
}

// frames is how many frames a pass has by the file's own account.
func (i info) frames(rate int) int64 { return int64(i.seconds * float64(rate)) }

type probed struct {
	Streams []struct {
		CodecType   string `json:"codec_type"`
		Width       int    `json:"width"`
		Height      int    `json:"height"`
		PixFmt      string `json:"pix_fmt"`
		SAR         string `json:"sample_aspect_ratio"`
		ColorSpace  string `json:"color_space"`
		ColorRange  string `json:"color_range"`
		Duration    string `json:"duration"`
		Disposition struct {
			AttachedPic int `json:"attached_pic"`
		} `json:"disposition"`
		SideData []struct {
			Rotation float64 `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
	Format struct {
		Name     string `json:"format_name"`
		Duration string `json:"duration"`
	} `json:"format"`
}

func probe(ctx context.Context, c Config, path string) (info, error) {
	cmd := exec.CommandContext(ctx, c.FFprobe, "-v", "error", "-of", "json", "-show_streams",
		"-show_entries", "format=duration,format_name", "file:"+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return info{}, fmt.Errorf("%s: not a media file that ffmpeg can play: %s", path, lastLine(stderr.String(), err))
	}
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		return info{}, fmt.Errorf("%s: what ffprobe says can't be read: %w", path, err)
	}
	i, ok := p.info()
	if !ok {
		return info{}, fmt.Errorf("%s: has no picture; give a file with a video track", path)
	}
	return i, nil
}

func lastLine(text string, err error) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}

func (p probed) info() (i info, ok bool) {
	for _, s := range p.Streams {
		switch {
		case s.CodecType == "audio":
			i.sound = true
		case s.CodecType == "video" && s.Disposition.AttachedPic == 0 && !ok:
			ok = true
			i.width, i.height = s.Width, s.Height
			i.seconds, _ = strconv.ParseFloat(s.Duration, 64)
			square := s.SAR == "" || s.SAR == "1:1" || s.SAR == "0:1"
			i.plain = square && s.PixFmt == "yuv420p" && s.ColorRange != "pc"
			for _, d := range s.SideData {
				i.plain = i.plain && d.Rotation == 0
			}
			if s.ColorSpace == "smpte170m" || s.ColorSpace == "bt470bg" {
				i.matrix = media.BT601
			}
		}
	}
	if i.seconds == 0 {
		i.seconds, _ = strconv.ParseFloat(p.Format.Duration, 64)
	}
	i.still = p.Format.Name == "image2" || strings.HasSuffix(p.Format.Name, "_pipe")
	return i, ok
}

// filters are those for the picture: none that would touch a pixel when the
// file has the wanted size already.
func (i info) filters(c Config) string {
	fps := fmt.Sprintf("fps=%d:start_time=0", c.Rate)
	if i.plain && i.width == c.Width && i.height == c.Height {
		return fps
	}
	return fps + fmt.Sprintf(",scale=w='min(%d,trunc(%d*dar/2)*2)':h='min(%d,trunc(%d/dar/2)*2)':flags=bicubic:out_color_matrix=bt709:out_range=tv"+
		",pad=%d:%d:(ow-iw)/2:(oh-ih)/2,format=yuv420p", c.Width, c.Height, c.Height, c.Width, c.Width, c.Height)
}

// color is what the frames have that filters let through.
func (i info) color(c Config) media.Color {
	if i.plain && i.width == c.Width && i.height == c.Height {
		return media.Color{Matrix: i.matrix}
	}
	return media.Color{}
}
