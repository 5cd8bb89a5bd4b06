package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/peer"
	"syncline/peer/doctor"
	"syncline/storage"
)

func doctorCommand() *cobra.Command {
	f, v := new(file), new(visit)
	cmd := &cobra.Command{
		Use:   "doctor --db FILE [--repair] [--quick] [--json] [--export DIR] [DOC...]",
		Short: "Look for what is wrong with a file, and mend it",
		Long: "Look at the file of a peer or of a relay, or only at the documents named: whether\n" +
			"the pages can be read, each change decodes to its hash and fits its document, none\n" +
			"is missing, all that is noted beside the changes is what they say, and the tables\n" +
			"show what the documents hold. Looking changes nothing, and a peer or a relay may\n" +
			"be running on the file.\n\n" +
			"With --repair it mends what can be mended without losing anything; nobody else may\n" +
			"have the file open. A change that is damaged is first written to the directory\n" +
			"that --export names, FILE.evidence if it names none, and the next sync fetches\n" +
			"the change again.\n\n" +
			"The exit code is 0 if all is well, 1 if something is wrong and was not mended, and\n" +
			"2 if the file could not be looked at. If the output is not a terminal, there is a\n" +
			"line for each finding, its fields separated by tabs: wrong, mended or note; kind,\n" +
			"document, row, change, name, what is wrong, and what mends it or why nothing does.",
		Example: "  syncline doctor --db notes.db\n" +
			"  syncline doctor --db notes.db --repair",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				doc, err := parseDocument(arg)
				if err != nil {
					return err
				}
				v.docs = append(v.docs, doc)
			}
			return v.run(cmd, f)
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&v.repair, "repair", false, "mend what can be mended safely (SYNCLINE_REPAIR)")
	cmd.Flags().BoolVar(&v.quick, "quick", false, "leave out what takes longest (SYNCLINE_QUICK)")
	cmd.Flags().BoolVar(&v.json, "json", false, "print JSON (SYNCLINE_JSON)")
	cmd.Flags().StringVar(&v.export, "export", "", "`DIR` for what is damaged (SYNCLINE_EXPORT)")
	return cmd
}

// visit is one call of the doctor.
type visit struct {
	repair, quick, json bool
	export              string
	docs                []id.Document
}

func (v *visit) run(cmd *cobra.Command, f *file) error {
	if f.path == "" {
		return errors.New("name the file that holds the documents: --db FILE, or SYNCLINE_DB in the environment")
	}
	if err := f.find(); err != nil {
		return err
	}
	loader := &loader{}
	defer loader.close()
	o := peer.CheckupOptions{Documents: v.docs, Quick: v.quick, Export: v.export, Load: loader.load}
	look := peer.Checkup
	if v.repair {
		look = peer.Mend
	}
	r, err := look(cmd.Context(), f.path, o)
	if err != nil {
		return v.cannotLook(f, err)
	}
	out := cmd.OutOrStdout()
	width, people := terminal(out)
	switch {
	case v.json:
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(visitJSON(r))
	case people:
		err = v.show(r, f.path, width, out)
	default:
		err = lines(r, out)
	}
	if err == nil && !r.Healthy() {
		err = errors.New(v.advice(r, f.path))
	}
	return failed(err)
}

// cannotLook is an error of the command line, so that its exit code is 2.
func (v *visit) cannotLook(f *file, err error) error {
	switch {
	case errors.Is(err, storage.ErrBusy):
		return fmt.Errorf("%s is in use: stop the peer or relay that runs on it, then repair it; without --repair it can be looked at meanwhile", f.path)
	case errors.Is(err, storage.ErrNotFound):
		return fmt.Errorf("%w: syncline doc list --db %s shows what is in the file", err, f.path)
	}
	return f.openError(err)
}

// wrong counts what is left.
func wrong(r *doctor.Report) (n, mendable int) {
	for i := range r.Findings {
		if f := &r.Findings[i]; !f.Note {
			n++
			if f.Mend != "" {
				mendable++
			}
		}
	}
	return n, mendable
}

func (v *visit) advice(r *doctor.Report, path string) string {
	n, mendable := wrong(r)
	are, those := fmt.Sprintf("%d things are wrong with %s", n, path), fmt.Sprintf("%d of them", mendable)
	if n == 1 {
		are, those = "1 thing is wrong with "+path, "it"
	}
	switch {
	case v.repair:
		return are + " that a repair does not mend; each says what to do"
	case mendable > 0:
		return fmt.Sprintf("%s; %s can be mended: syncline doctor --db %s --repair", are, those, path)
	}
	return are + ", and a repair does not mend it; each says what to do"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// show prints a report for people.
func (v *visit) show(r *doctor.Report, path string, width int, w io.Writer) error {
	if width <= 0 {
		width = 80
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s\n", path, counted(r.Documents, "document"), counted(int(r.Changes), "change"))
	if r.Openings > 0 && !v.repair {
		wrap(&b, width, "", fmt.Sprintf("The file is in use, or was not closed: %s. Each document was looked at as it was at one moment.", counted(int(r.Openings), "opening")))
	}
	sections := []struct {
		title string
		of    func(*doctor.Finding) bool
		list  []doctor.Finding
	}{
		{"Mended", func(*doctor.Finding) bool { return true }, r.Mended},
		{"Wrong", func(f *doctor.Finding) bool { return !f.Note }, r.Findings},
		{"To know", func(f *doctor.Finding) bool { return f.Note }, r.Findings},
	}
	for _, s := range sections {
		first := true
		for i := range s.list {
			f := &s.list[i]
			if !s.of(f) {
				continue
			}
			if first {
				fmt.Fprintf(&b, "\n%s:\n", s.title)
				first = false
			}
			showFinding(&b, width, f)
		}
	}
	if r.Cut > 0 {
		wrap(&b, width, "", fmt.Sprintf("%d more are not listed.", r.Cut))
	}
	if r.Export != "" {
		wrap(&b, width, "", "\nWhat was damaged is in "+r.Export+". The next sync fetches it again.")
	}
	if r.Healthy() {
		b.WriteString("\nNothing is wrong.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func showFinding(b *strings.Builder, width int, f *doctor.Finding) {
	var where []string
	if f.Document != (id.Document{}) {
		where = append(where, f.Document.URL())
	}
	if f.Row != 0 {
		where = append(where, fmt.Sprintf("row %d", f.Row))
	}
	if f.Hash != (id.Hash{}) {
		where = append(where, "change "+f.Hash.String()[:12])
	}
	if f.Name != "" {
		where = append(where, printable(f.Name))
	}
	b.WriteString(cut(strings.TrimSpace(fmt.Sprintf("  %-10s  %s", f.Kind, strings.Join(where, ", "))), width-2))
	s := b.String()
	line := s[strings.LastIndexByte(s, '\n')+1:]
	b.Reset()
	b.WriteString(s[:len(s)-len(line)] + "  " + line + "\n")
	wrap(b, width, "    ", printable(f.What))
	switch {
	case f.Fixed:
		wrap(b, width, "    ", "Done: "+f.Mend+".")
	case f.Mend != "":
		wrap(b, width, "    ", "Repair: "+f.Mend+".")
	case f.Why != "":
		wrap(b, width, "    ", "To do: "+printable(f.Why)+".")
	}
}

// wrap writes a text in lines of a width, all indented.
func wrap(b *strings.Builder, width int, indent, text string) {
	if strings.HasPrefix(text, "\n") {
		b.WriteString("\n")
	}
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
}

// lines prints a report for programs.
func lines(r *doctor.Report, w io.Writer) error {
	t := table{columns: make([]column, 8)}
	add := func(state string, f *doctor.Finding) {
		doc, hash, row, name, then := "-", "-", "-", "-", f.Mend
		if f.Document != (id.Document{}) {
			doc = f.Document.URL()
		}
		if f.Hash != (id.Hash{}) {
			hash = f.Hash.String()
		}
		if f.Row != 0 {
			row = fmt.Sprint(f.Row)
		}
		if f.Name != "" {
			name = f.Name
		}
		if then == "" {
			then = f.Why
		}
		if then == "" {
			then = "-"
		}
		t.add(text(state), text(string(f.Kind)), text(doc), text(row), text(hash), text(name), text(f.What), text(then))
	}
	for i := range r.Mended {
		add("mended", &r.Mended[i])
	}
	for i := range r.Findings {
		if r.Findings[i].Note {
			add("note", &r.Findings[i])
		} else {
			add("wrong", &r.Findings[i])
		}
	}
	return t.write(w)
}

// The report as programs read it.
type (
	jsonVisit struct {
		File      string        `json:"file"`
		Healthy   bool          `json:"healthy"`
		Documents int           `json:"documents"`
		Changes   int64         `json:"changes"`
		Openings  int64         `json:"openings"`
		Findings  []jsonFinding `json:"findings"`
		Mended    []jsonFinding `json:"mended"`
		Export    string        `json:"export,omitempty"`
		Cut       int           `json:"cut,omitempty"`
	}
	jsonFinding struct {
		Kind     doctor.Kind `json:"kind"`
		Note     bool        `json:"note,omitempty"`
		Document string      `json:"document,omitempty"`
		Row      int64       `json:"row,omitempty"`
		Hash     string      `json:"hash,omitempty"`
		Name     string      `json:"name,omitempty"`
		What     string      `json:"what"`
		Mend     string      `json:"mend,omitempty"`
		Why      string      `json:"why,omitempty"`
	}
)

func visitJSON(r *doctor.Report) jsonVisit {
	list := func(findings []doctor.Finding) []jsonFinding {
		all := []jsonFinding{}
		for _, f := range findings {
			j := jsonFinding{Kind: f.Kind, Note: f.Note, Row: f.Row, Name: f.Name, What: f.What, Mend: f.Mend, Why: f.Why}
			if f.Document != (id.Document{}) {
				j.Document = f.Document.URL()
			}
			if f.Hash != (id.Hash{}) {
				j.Hash = f.Hash.String()
			}
			all = append(all, j)
		}
		return all
	}
	return jsonVisit{
		File: r.Path, Healthy: r.Healthy(), Documents: r.Documents, Changes: r.Changes, Openings: r.Openings,
		Findings: list(r.Findings), Mended: list(r.Mended), Export: r.Export, Cut: r.Cut,
	}
}
