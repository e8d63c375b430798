"""Every text of the page, in English and Korean."""

LANGUAGES = ('en', 'ko')

TEXTS: dict[str, tuple[str, str]] = {
    'title': ('Review', '검토'),
    'accept': ('Accept', '승인'),
    'reject': ('Reject', '거부'),
    'previous': ('Previous', '이전'),
    'next': ('Next', '다음'),
    'help': ('Keys', '단축키'),
    'filter_todo': ('To do', '남은 것'),
    'filter_all': ('All', '전체'),
    'filter_accepted': ('Accepted', '승인됨'),
    'filter_rejected': ('Rejected', '거부됨'),
    'filter_refused': ('Refused by a gate', '자동 검사 탈락'),
    'decided': ('{done} of {total} decided', '{total}개 중 {done}개 결정'),
    'pace': ('{seconds} s each, about {minutes} min left', '개당 {seconds}초, 약 {minutes}분 남음'),
    'all_decided': ('Everything is decided.', '모두 결정했습니다.'),
    'none_left': ('Nothing in this list.', '이 목록은 비어 있습니다.'),
    'saved': ('saved', '저장됨'),
    'saving': ('saving …', '저장 중 …'),
    'unsaved': ('not saved', '저장되지 않음'),
    'edit': ('Edit: draw here', '편집 이미지: 여기에 그리기'),
    'image': ('Image: draw here', '이미지: 여기에 그리기'),
    'source': ('Source', '원본'),
    'difference': ('Difference × 4', '차이 × 4'),
    'whole': ('Whole image', '전체 이미지'),
    'tools': ('Tool', '도구'),
    'brush': ('Brush', '브러시'),
    'eraser': ('Eraser', '지우개'),
    'polygon': ('Polygon', '다각형'),
    'size': ('Size', '크기'),
    'opacity': ('Fill', '채우기'),
    'outline': ('Outline', '윤곽선'),
    'undo': ('Undo', '실행 취소'),
    'redo': ('Redo', '다시 실행'),
    'classes': ('Class', '클래스'),
    'ignored': ('ignored', '무시'),
    'defects': ('Defects', '결함'),
    'no_defects': ('No defect in the label', '레이블에 결함이 없음'),
    'more_defects': ('{count} defects, {pixels} px', '결함 {count}개, {pixels} px'),
    'state_accepted': ('accepted', '승인됨'),
    'state_rejected': ('rejected', '거부됨'),
    'state_undecided': ('undecided', '미결정'),
    'state_refused': ('refused by a gate', '자동 검사 탈락'),
    'label_proposed': ('label proposed', '레이블 제안됨'),
    'label_reviewed': ('label reviewed', '레이블 검토됨'),
    'label_drawn': ('label drawn', '레이블 그려짐'),
    'reason_title': ('Why is it rejected?', '거부 이유는?'),
    'reason_other': ('another reason, then Enter', '다른 이유 입력 후 Enter'),
    'reason_1': ('defect vanished', '결함이 사라짐'),
    'reason_2': ('defect not realistic', '결함이 비현실적임'),
    'reason_3': ('surroundings changed', '주변이 바뀜'),
    'reason_4': ('defect can not be delimited', '결함의 경계를 정할 수 없음'),
    'reason_5': ('blurred or damaged image', '흐리거나 손상된 이미지'),
    'reason_6': ('wrong or duplicate image', '잘못된 또는 중복 이미지'),
    'cancel': ('Cancel', '취소'),
    'close': ('Close', '닫기'),
    'conflict': (
        'This image was changed in another window or by another program. Nothing was overwritten.',
        '다른 창이나 프로그램에서 이 이미지를 변경했습니다. 덮어쓰지 않았습니다.',
    ),
    'load_other': ('Load the other version', '다른 버전 불러오기'),
    'keep_mine': ('Keep mine', '내 것 유지'),
    'size_fault': ('The label has another size than the image.', '레이블과 이미지의 크기가 다릅니다.'),
    'offline': (
        'The program does not answer, and the last change is not saved. Is wta-seg review still running?',
        '프로그램이 응답하지 않아 마지막 변경이 저장되지 않았습니다. wta-seg review가 실행 중인지 확인하세요.',
    ),
    'retry': ('Try again', '다시 시도'),
}

#: Keys and what they do, for the help.
KEYS: tuple[tuple[str, tuple[str, str]], ...] = (
    ('A', ('accept, and go to the next undecided image', '승인하고 다음 미결정 이미지로')),
    (
        'X',
        (
            'reject with a reason: press its number, or type another',
            '이유와 함께 거부: 번호를 누르거나 직접 입력',
        ),
    ),
    ('N P', ('next, previous image (also → ←)', '다음, 이전 이미지 (→ ←도 가능)')),
    ('C', ('next defect (Shift: previous)', '다음 결함 (Shift: 이전)')),
    ('F', ('whole image, and back', '전체 이미지 보기와 되돌리기')),
    ('S', ('hold: the source in place of the edit', '누르는 동안 원본 보기')),
    ('D', ('hold: the difference', '누르는 동안 차이 보기')),
    ('B E G', ('brush, eraser, polygon', '브러시, 지우개, 다각형')),
    (
        'Enter',
        (
            'close the polygon (also double click; Esc: discard)',
            '다각형 닫기 (더블 클릭도 가능, Esc: 버리기)',
        ),
    ),
    ('1 … 9', ('class; 0: normal; I: ignored', '클래스; 0: 정상; I: 무시')),
    ('[ ]', ('smaller, larger brush', '브러시 작게, 크게')),
    ('Ctrl Z', ('undo (Ctrl Y: redo)', '실행 취소 (Ctrl Y: 다시 실행)')),
    ('R', ('the label of the source in place of this one', '원본의 레이블로 되돌리기')),
    ('O', ('outline of the label on, off', '레이블 윤곽선 켜기, 끄기')),
    (', .', ('fill of the label less, more', '레이블 채우기 옅게, 짙게')),
    (
        '+ −',
        (
            'zoom (also mouse wheel; Space or middle button: move)',
            '확대, 축소 (휠; 스페이스 또는 가운데 버튼: 이동)',
        ),
    ),
    ('?', ('this help', '이 도움말')),
)


def texts(language: str) -> dict[str, str]:
    """The texts in one of :data:`LANGUAGES`."""
    return {key: values[LANGUAGES.index(language)] for key, values in TEXTS.items()}


def keys(language: str) -> list[tuple[str, str]]:
    """Keys and what they do in one of :data:`LANGUAGES`."""
    return [(key, values[LANGUAGES.index(language)]) for key, values in KEYS]


def preferred_language(header: str) -> str:
    """The first language of an ``Accept-Language`` header if the page has it, else English."""
    first = header.split(',')[0].split(';')[0].split('-')[0].strip().lower()
    return first if first in LANGUAGES else LANGUAGES[0]
