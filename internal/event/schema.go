package event

// schema is the event file as it is written, before defaults, offsets and
// paths are resolved. Each list element starts from its type's defaults.
type schema struct {
	Event      string            `yaml:"event"`
	Video      videoSchema       `yaml:"video"`
	Renditions []renditionSchema `yaml:"renditions,omitempty"`
	Multicast  multicastSchema   `yaml:"multicast"`
	PortOffset int               `yaml:"port_offset,omitempty"`
	Audio      audioSchema       `yaml:"audio"`
	Time       []string          `yaml:"time,omitempty"`
	Schedule   string            `yaml:"schedule,omitempty"`
	Boxes      []boxSchema       `yaml:"boxes,omitempty"`
	Rooms      []roomSchema      `yaml:"rooms,omitempty"`
	Origins    []originSchema    `yaml:"origins,omitempty"`
	Caches     []cacheSchema     `yaml:"caches,omitempty"`
	Dumpers    []dumperSchema    `yaml:"dumpers,omitempty"`
	Secrets    string            `yaml:"secrets,omitempty"`

	// Box is what a signed view tells a box about logging in; it is an error in
	// an event file.
	Box *viewLogin `yaml:"box,omitempty"`
}

type videoSchema struct {
	Size    size      `yaml:"size"`
	Rate    frameRate `yaml:"rate"`
	Bitrate bitrate   `yaml:"bitrate"`
}

type renditionSchema struct {
	Name    string  `yaml:"name"`
	Size    size    `yaml:"size"`
	Bitrate bitrate `yaml:"bitrate"`
}

type multicastSchema struct {
	Interface string `yaml:"interface,omitempty"`
	TTL       int    `yaml:"ttl"`
}

type audioSchema struct {
	Rate       int     `yaml:"rate"`
	Channels   int     `yaml:"channels"`
	Bitrate    bitrate `yaml:"bitrate"`
	TargetLUFS float64 `yaml:"target_lufs"`
}

type boxSchema struct {
	Name      string      `yaml:"name"`
	MAC       string      `yaml:"mac,omitempty"`
	Address   string      `yaml:"address,omitempty"`
	Multicast string      `yaml:"multicast,omitempty"`
	Interface string      `yaml:"interface,omitempty"`
	TTL       *int        `yaml:"ttl,omitempty"`
	Ports     portsSchema `yaml:"ports"`
}

type portsSchema struct {
	Stream int `yaml:"stream"`
	HTTP   int `yaml:"http"`
	Status int `yaml:"status"`
}

type roomSchema struct {
	Name       string        `yaml:"name"`
	Building   string        `yaml:"building,omitempty"`
	Camera     string        `yaml:"camera,omitempty"`
	Slides     string        `yaml:"slides,omitempty"`
	Mixer      mixerSchema   `yaml:"mixer"`
	Scene      sceneSchema   `yaml:"scene"`
	Background string        `yaml:"background,omitempty"`
	Overlay    overlaySchema `yaml:"overlay,omitempty"`
	Output     outputSchema  `yaml:"output"`
	Interface  string        `yaml:"interface,omitempty"`
	TTL        *int          `yaml:"ttl,omitempty"`
}

type mixerSchema struct {
	Host   string `yaml:"host"`
	Engine string `yaml:"engine"`
}

type sceneSchema struct {
	Mode string `yaml:"mode,omitempty"`
	A    string `yaml:"a,omitempty"`
	B    string `yaml:"b,omitempty"`
}

type overlaySchema struct {
	Logo string `yaml:"logo,omitempty"`
}

type outputSchema struct {
	Multicast string `yaml:"multicast,omitempty"`
	TCP       int    `yaml:"tcp"`
}

type originSchema struct {
	Name string `yaml:"name"`
	RTMP string `yaml:"rtmp"`
	HTTP string `yaml:"http"`
	Dir  string `yaml:"dir,omitempty"`
}

type cacheSchema struct {
	Name   string   `yaml:"name"`
	HTTP   string   `yaml:"http"`
	Memory byteSize `yaml:"memory"`
}

type dumperSchema struct {
	Name     string   `yaml:"name"`
	Host     string   `yaml:"host"`
	Dir      string   `yaml:"dir"`
	KeepFree byteSize `yaml:"keep_free"`
}

type viewLogin struct {
	User   string `yaml:"user"`
	Bcrypt string `yaml:"bcrypt"`
}

func newSchema() schema {
	return schema{
		Video:     videoSchema{Size: size{1280, 720}, Rate: 25, Bitrate: 4_000_000},
		Multicast: multicastSchema{TTL: 1},
		Audio:     audioSchema{Rate: 48000, Channels: 2, Bitrate: 160_000, TargetLUFS: -16},
	}
}

func (b *boxSchema) defaults() {
	b.Ports = portsSchema{Stream: 8899, HTTP: 80, Status: StatusPort}
}

func (r *roomSchema) defaults() {
	r.Mixer.Engine = "native"
	r.Output.TCP = 28899
}

func (c *cacheSchema) defaults() { c.Memory = 1 << 30 }

func (d *dumperSchema) defaults() { d.KeepFree = 10 << 30 }
