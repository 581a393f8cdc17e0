{{/*
A job that Helm runs at some moments, with an account and rights of its own that go with it.
Give (dict "root" $ "component" "keys" "hook" "pre-install,pre-upgrade" "rules" list "args" list), and "once" true where no second try is of use.
*/}}
{{- define "ntp.hook" -}}
helm.sh/hook: {{ .hook }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "ntp.job" -}}
{{- $name := include "ntp.name" . -}}
{{- $account := merge (dict "weight" "-10") . -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
rules:
{{- range .rules }}
  - {{ toJson . }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" $account | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
  - {kind: ServiceAccount, name: {{ $name }}, namespace: {{ .root.Release.Namespace }}}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  labels: {{- include "ntp.labels" . | nindent 4 }}
  annotations: {{- include "ntp.hook" (merge (dict "weight" "0") .) | nindent 4 }}
spec:
  backoffLimit: {{ if .once }}0{{ else }}3{{ end }}
  activeDeadlineSeconds: 300
  # Where no Helm takes it away, another one of its name can come later.
  ttlSecondsAfterFinished: 600
  template:
    metadata:
      labels: {{- include "ntp.podLabels" . | nindent 8 }}
    spec:
      # The pod of one that is tried once stays when it failed, and has the reason in its log.
      restartPolicy: {{ if .once }}Never{{ else }}OnFailure{{ end }}
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      securityContext: {{- include "ntp.podSecurity" .root | nindent 8 }}
      {{- include "ntp.placing" (merge (dict "of" .root.Values.controller) .) | trim | nindent 6 }}
      containers:
        - name: job
          image: {{ include "ntp.image" (dict "root" .root "image" "ntp-controller") }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ toJson .args }}
          env:
            - {name: NTP_STATE, value: /tmp/state}
            - {name: NTP_CACHE, value: /tmp/cache}
          resources: {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}
          securityContext: {{- include "ntp.containerSecurity" .root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
{{- end -}}
