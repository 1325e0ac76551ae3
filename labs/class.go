package labs

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// Isolation says what each attendee of a class has for themselves.
type Isolation string

// The ways to keep attendees apart.
const (
	OwnCluster   Isolation = "cluster"   // a kind cluster each, on the host of the class
	OwnNamespace Isolation = "namespace" // namespaces each, in one cluster
	OwnMachine   Isolation = "own"       // a machine each, which they bring
)

// MaxAttendees is how many attendees a class can have.
const MaxAttendees = 500

const (
	maxPersonID   = 20 // a namespace is ATTENDEE-LAB, and a name of Kubernetes has at most 63 characters
	maxPersonName = 60 // characters
)

// A Class is many attendees of one course, and those who teach it.
type Class struct {
	Name        string // as a folder and a cluster are called
	Course      string // name of a built-in course, or the folder of one
	Isolation   Isolation
	Attendees   []Person // one without a name is a free seat
	Instructors []Person
	Address     string // of this host, where attendees reach its pages and clusters; 127.0.0.1 unless it is given
	URL         string // of its pages where it is not http://Address:PORT, such as behind a proxy: https://HOST[:PORT]; "" else
	Kubeconfig  string // of an existing cluster to use; empty to make one
	Registry    string // where an existing cluster pulls images from: HOST[:PORT][/PATH]
	Resources   Resources
	Parallel    int // how many clusters are made at a time
}

// A Person is an attendee or an instructor of a class.
type Person struct {
	ID   string // unique in the class; in names of namespaces, clusters and containers
	Name string // what people call them: anything they like
}

// Resources are what an attendee may use of a shared cluster, as Kubernetes writes
// quantities. Empty fields have defaults.
type Resources struct {
	CPU    string `yaml:"cpu"`
	Memory string `yaml:"memory"`
	Pods   int    `yaml:"pods"`
}

// DefaultResources carry every lab of the built-in courses that a shared cluster can offer.
func DefaultResources() Resources { return Resources{CPU: "2", Memory: "2Gi", Pods: 30} }

var quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|Ki|Mi|Gi)?$`)

// LoadClass reads a class.yaml. The error is [Problems] with everything that is wrong.
func LoadClass(file string, data []byte) (*Class, error) {
	var ps Problems
	var raw struct {
		Name        string    `yaml:"name"`
		Course      string    `yaml:"course"`
		Isolation   Isolation `yaml:"isolation"`
		Attendees   yaml.Node `yaml:"attendees"`
		Instructors yaml.Node `yaml:"instructors"`
		Address     string    `yaml:"address"`
		URL         string    `yaml:"url"`
		Kubeconfig  string    `yaml:"kubeconfig"`
		Registry    string    `yaml:"registry"`
		Resources   Resources `yaml:"resources"`
		Parallel    int       `yaml:"parallel"`
	}
	if !decodeInto(&ps, file, string(data), 1, &raw) {
		return nil, ps.err()
	}
	c := &Class{Name: raw.Name, Course: raw.Course, Isolation: raw.Isolation, Address: raw.Address, URL: strings.TrimSuffix(raw.URL, "/"), Kubeconfig: raw.Kubeconfig,
		Registry: raw.Registry, Resources: raw.Resources, Parallel: raw.Parallel}
	lines := linesOf(data)
	wrong := func(format string, args ...any) { // what is wrong begins with its key
		ps.add(file, lines[strings.TrimSuffix(strings.Fields(format)[0], ":")], format, args...)
	}
	if !ValidPersonID(c.Name) {
		wrong("name %.80q: use small letters, digits and '-', 2 to %d of them", c.Name, maxPersonID)
	}
	if c.Course == "" {
		wrong("course is missing: name a built-in course, or the folder of one")
	}
	switch c.Isolation {
	case OwnCluster, OwnNamespace, OwnMachine:
	default:
		wrong("isolation %.80q: use %s, %s or %s", c.Isolation, OwnCluster, OwnNamespace, OwnMachine)
	}
	if c.Address == "" {
		c.Address = "127.0.0.1"
	} else if _, err := netip.ParseAddr(c.Address); err != nil {
		wrong("address %.80q: give an IP address of this host", c.Address)
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host})) {
		wrong("url %.80q: give where attendees open the pages, such as https://class.example.org", raw.URL)
	}
	if c.Isolation != OwnNamespace {
		if c.Kubeconfig != "" {
			wrong("kubeconfig goes with isolation: %s", OwnNamespace)
		}
		if c.Resources != (Resources{}) {
			wrong("resources go with isolation: %s: else nobody shares anything", OwnNamespace)
		}
	}
	if c.Registry != "" && c.Kubeconfig == "" {
		wrong("registry goes with kubeconfig: a cluster of ours has one already")
	}
	if c.Kubeconfig != "" && c.Registry == "" {
		wrong("registry is missing: name where the nodes of that cluster pull the labs' images from, such as registry.example.com/kindlab")
	}
	for _, q := range []struct{ name, is string }{{"cpu", c.Resources.CPU}, {"memory", c.Resources.Memory}} {
		if q.is != "" && !quantity.MatchString(q.is) {
			wrong("resources: %s %.80q: write it as Kubernetes does, such as 500m, 2 or 2Gi", q.name, q.is)
		}
	}
	if c.Resources.Pods < 0 || c.Parallel < 0 {
		wrong("resources: pods and parallel cannot be less than nothing")
	}
	c.Resources = c.Resources.or(DefaultResources())
	taken := map[string]bool{}
	c.Attendees = people(&ps, file, "attendees", &raw.Attendees, taken)
	c.Instructors = people(&ps, file, "instructors", &raw.Instructors, taken)
	if len(c.Attendees) == 0 && c.Isolation != OwnMachine {
		wrong("attendees is empty: give their names, or how many there are")
	}
	return c, ps.err()
}

// linesOf is where each key of a mapping stands.
func linesOf(data []byte) map[string]int {
	out := map[string]int{}
	n, err := parseYAML(string(data), 1)
	if err != nil || n == nil {
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[n.Content[i].Value] = n.Content[i].Line
	}
	return out
}

// or fills in what r does not say.
func (r Resources) or(d Resources) Resources {
	if r.CPU == "" {
		r.CPU = d.CPU
	}
	if r.Memory == "" {
		r.Memory = d.Memory
	}
	if r.Pods == 0 {
		r.Pods = d.Pods
	}
	return r
}

// people reads a list of people, or how many seats there are.
func people(ps *Problems, file, key string, n *yaml.Node, taken map[string]bool) []Person {
	switch n.Kind {
	case 0:
		return nil
	case yaml.ScalarNode:
		count, err := strconv.Atoi(n.Value)
		if err != nil || count < 1 || count > MaxAttendees || key != "attendees" {
			ps.add(file, n.Line, "%s: give a list of names%s", key, map[bool]string{true: fmt.Sprintf(", or a number from 1 to %d", MaxAttendees)}[key == "attendees"])
			return nil
		}
		return Seats(count)
	case yaml.SequenceNode:
	default:
		ps.add(file, n.Line, "%s: give a list of names", key)
		return nil
	}
	if len(n.Content) > MaxAttendees {
		ps.add(file, n.Line, "%s: there are %d, and a class has at most %d", key, len(n.Content), MaxAttendees)
		return nil
	}
	var out []Person
	for _, item := range n.Content {
		var p struct {
			ID   string `yaml:"id"`
			Name string `yaml:"name"`
		}
		if item.Kind == yaml.ScalarNode {
			p.Name = item.Value
		} else {
			for _, e := range LineErrors(Decode(item, &p)) {
				ps.add(file, e.Line, "%s: %s", key, e.Text)
			}
		}
		name, err := PersonName(p.Name)
		if err != nil && !(p.ID != "" && p.Name == "") {
			ps.add(file, item.Line, "%s: %v", key, err)
			continue
		}
		if p.ID == "" {
			p.ID = PersonID(name, func(id string) bool { return taken[id] })
		}
		if !ValidPersonID(p.ID) {
			ps.add(file, item.Line, "%s: id %.80q: use small letters, digits and '-', 2 to %d of them", key, p.ID, maxPersonID)
		} else if taken[p.ID] {
			ps.add(file, item.Line, "%s: id %.80q is there twice", key, p.ID)
		}
		taken[p.ID] = true
		out = append(out, Person{p.ID, name})
	}
	return out
}

// Seats are places for people whose names are not known yet: seat-01, seat-02 and so on.
func Seats(count int) []Person {
	out := make([]Person, count)
	for i := range out {
		out[i].ID = fmt.Sprintf("seat-%02d", i+1)
	}
	return out
}

// ValidPersonID reports whether a name can be that of a person in a class: as
// [ValidID], but at most 20 characters.
func ValidPersonID(name string) bool { return ValidID(name) && len(name) <= maxPersonID }

// PersonName is a name as it is kept and shown: spaces made single, what cannot be
// seen or turns the text around taken out. It is an error when nothing is left or
// when it is longer than 60 characters.
func PersonName(typed string) (string, error) {
	if len(typed) > 16*maxPersonName { // no need to look closer
		return "", fmt.Errorf("a name has at most %d characters", maxPersonName)
	}
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, typed)
	name := strings.Join(strings.Fields(plain), " ")
	if name == "" {
		return "", fmt.Errorf("a name needs at least one letter")
	}
	if utf8.RuneCountInString(name) > maxPersonName {
		return "", fmt.Errorf("a name has at most %d characters", maxPersonName)
	}
	return name, nil
}

// PersonID makes an id of a name: its letters and digits as far as ASCII has them,
// with '-' between words, and a number when taken says that somebody has it.
func PersonID(name string, taken func(id string) bool) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) { // é is e and an accent then
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case unaccented(r) != "":
			b.WriteString(unaccented(r))
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	id := b.String()
	trim := func(most int) string { return strings.Trim(id[:min(len(id), most)], "-") }
	if len(trim(maxPersonID)) < 2 {
		id = "guest"
	}
	try := trim(maxPersonID)
	for n := 2; taken(try); n++ {
		end := "-" + strconv.Itoa(n)
		try = trim(maxPersonID-len(end)) + end
	}
	return try
}

// unaccented spells the Latin letters that Unicode does not take apart.
func unaccented(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ø':
		return "o"
	case 'đ', 'ð':
		return "d"
	case 'þ':
		return "th"
	case 'ł':
		return "l"
	case 'ı':
		return "i"
	}
	return ""
}

// Attendee finds an attendee by id.
func (c *Class) Attendee(id string) (Person, bool) {
	i := slices.IndexFunc(c.Attendees, func(p Person) bool { return p.ID == id })
	if i < 0 {
		return Person{}, false
	}
	return c.Attendees[i], true
}
